/* server_reload.c - SIGHUP: reads all settings again from where they came from. Either all that can change in a
 * running process changes, or nothing does. */
#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/app/server_private.h"
#include "server/broker/redis/redis_broker.h"

/* One log line for each line of text. */
static void log_lines(enum log_level level, struct str lines)
{
    while (lines.ptr) {
        struct str line = str_split(&lines, '\n');
        if (line.len)
            log_write(level, "app", "reload: %.*s", STR_ARG(line));
    }
}

enum err server_configure_lifecycle(struct server *server, struct error *error)
{
    struct lifecycle_settings *settings = configuration_lifecycle(server->options);
    struct lifecycle_feed_settings feed;
    bool sends = settings && *server->options->lifecycle.http_url;
    enum err err = sends ? configuration_lifecycle_feed(server->options, server->outbound, &feed, error) : ERR_NONE;
    if (!err) {
        lifecycle_configure(server->node.lifecycle, settings);
        lifecycle_feed_configure(server->feed, sends ? &feed : NULL);
    }
    lifecycle_settings_unref(settings);
    return err;
}

/* False: refused, and nothing has changed. *messages says what is wrong. */
static bool reload(struct server *server, const struct options_input *input, struct buf *messages)
{
    struct options fresh;
    struct option_sources sources;
    struct configuration configuration;
    struct error error;
    if (options_load(&options_table, input, &fresh, &sources, messages))
        return false;
    enum err err = options_validate(&fresh, &sources, messages);
    if (err == ERR_NONE) {
        struct buf changed = {0};
        log_lines(LOG_LEVEL_WARN, buf_str(messages));
        if (options_changed(&options_table, server->options, &fresh, &changed))
            log_warn("app", "reload: %s changed, which takes a restart; the rest is applied", buf_cstr(&changed));
        buf_fini(&changed);
        options_keep(&options_table, server->options, &fresh);
        err = configuration_make(&fresh, server->outbound, &server->configuration, &configuration, &error);
        if (err) {
            buf_appendf(messages, "%s\n", error.text);
            options_keep(&options_table, server->options, &fresh); /* exchanges them back */
        }
    }
    if (err) {
        options_fini(&options_table, &fresh);
        option_sources_fini(&sources);
        return false;
    }
    capacity_follow(server->options, &fresh);
    options_fini(&options_table, server->options);
    option_sources_fini(server->sources);
    *server->options = fresh;
    *server->sources = sources;
    capacity_apply(&server->capacity, configuration.net);
    if (server->hooks)
        configuration_use_transport(&configuration, server->hooks->transport);
    configured_upstreams_use_secrets(&configuration.upstreams);
    configuration_keep_endpoints(&configuration, &server->configuration, server->quota);
    configuration_keep_rules(&configuration, &server->configuration);
    configuration_fini(&server->configuration);
    server->configuration = configuration;
    log_configure((enum log_level)fresh.log_level, (enum log_format)fresh.log_format);
    for (unsigned i = 0; i < server->worker_count; i++) {
        worker_set_keys(server->workers[i], configuration.keys);
        worker_configure(server->workers[i], configuration.net, &configuration.hub, configuration.rules);
    }
    server_configure_apis(server);
    server_tell_settings(server);
    if (*server->options->redis_url) {
        const struct ingest_settings ingest = configuration_ingest(&server->configuration, server->options);
        redis_broker_configure(server->broker, &ingest);
    }
    if (server_configure_lifecycle(server, &error))
        log_error("app", "reload: %s; lifecycle events go on as before", error.text);
    listener_configure(server->clients, configuration.net);
    listener_configure(server->internal, configuration.net);
    log_info("app", "reload: done");
    return true;
}

void server_reload(struct server *server)
{
    struct buf messages = {0};
    if (!reload(server, server->channels ? &server->with_channels : server->input, &messages)) {
        log_lines(LOG_LEVEL_ERROR, buf_str(&messages));
        log_error("app", "reload: refused; the settings stay as they were");
    }
    buf_fini(&messages);
}

/* Flags come last, so this one holds whatever file and environment say. */
bool server_set_channels(struct server *server, struct str text, struct buf *messages)
{
    int argc = server->input->argc;
    char *channels = text.len ? str_dup(text) : NULL;
    char **argv = xcalloc((size_t)argc + 3, sizeof *argv);
    struct options_input input = *server->input;
    memcpy(argv, server->input->argv, (size_t)argc * sizeof *argv);
    argv[argc] = (char *)(uintptr_t) "--channels"; /* the engine does not write to it */
    argv[argc + 1] = channels;
    input.argv = argv;
    input.argc = channels ? argc + 2 : argc;
    bool done = reload(server, &input, messages);
    if (done) {
        free(server->argv_with_channels);
        free(server->channels);
        server->argv_with_channels = argv;
        server->channels = channels;
        server->with_channels = input;
    } else {
        free(argv);
        free(channels);
    }
    return done;
}
