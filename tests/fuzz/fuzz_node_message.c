/* fuzz_node_message.c - the messages of nodes, except surveys (fuzz_survey_message.c). These are digests of settings.
 * They come from nodes of other versions too. The words of their comparison go into the log and into answers. */
#include <stdlib.h>

#include "common/base/log.h"
#include "server/broker/redis/redis_keys.h"
#include "server/node/peers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define OUR_SETTINGS "version 0.1.0\nidempotency_window 300000 ms\nchannels[0] *: history.size 0\n"

struct fake {
    struct broker broker; /* first */
    size_t sent;
};

static void control(struct broker *broker, struct str to, struct str bytes)
{
    struct fake *fake = (struct fake *)broker;
    (void)to;
    fake->sent++;
    if (!str_starts_with(bytes, STR("terms 1 ")))
        abort();
}

static void nodes(struct broker *broker, struct buf *out)
{
    (void)broker;
    buf_append_lit(out, "me\nother");
}

static void check_printable(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || (unsigned char)text.ptr[i] > '~')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct node_control_ops ops = {.send = control, .list = nodes};
    static struct metrics metrics;
    struct fake fake = {.broker = {.nodes = &ops}};
    struct buf told = {0};
    struct str rest = str_from((const char *)bytes, len);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    struct peers *peers = peers_create(&fake.broker, &metrics, STR("me"));
    peers_set_settings(peers, STR(OUR_SETTINGS));
    /* Messages are separated by a NUL. Each message is the sender, a space, and the text. */
    while (rest.ptr) {
        struct str message = str_split(&rest, '\0');
        struct str from = str_split(&message, ' ');
        if (message.ptr && redis_name_is_good(from, REDIS_NODE_ID_OTHERS))
            peers_hear(peers, from, message);
    }
    peers_tick(peers, true, 1);
    peers_tick(peers, true, 10000000);
    peers_describe(peers, &told);
    check_printable(buf_str(&told));
    buf_fini(&told);
    peers_destroy(peers);
    return 0;
}
