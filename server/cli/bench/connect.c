/* connect.c - scenario connect: what it takes until a client is there and subscribed. The tokens are made before. */
#include "server/cli/bench/run.h"

/* Nothing is published, so nothing needs to be looked at. */
static void on_text(void *owner, size_t client, struct str text)
{
    (void)owner;
    (void)client;
    (void)text;
}

enum err scenario_connect(struct run *run, struct error *error)
{
    struct crowd crowd = {.on_text = on_text};
    struct buf *tokens = NULL;
    enum err err = run_prepare(run, &crowd, &tokens, error);
    if (!err)
        err = run_begin(run, error);
    if (!err)
        err = crowd_connect(&crowd, RUN_CONNECT_US, error);
    if (!err)
        err = run_end(run, error);
    if (!err)
        run_note_growth(run, &run->server_before, run->result.server_rss_bytes);
    run->result.operations = crowd.ready;
    run->result.latency = crowd.latency;
    crowd_fini(&crowd);
    run_free_tokens(tokens, run->settings->connections);
    return err;
}
