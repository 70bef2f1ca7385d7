/* api_batch.c - POST /api/v1/broadcast and /batch: many publications, and one answer when all are answered. A mistake
 * in one publication does not stop the others. All are sent in the order of the request, so the events of a channel
 * keep that order. */
#include "common/base/alloc.h"
#include "server/api/api_private.h"

/* Why a publication was not sent. */
struct failure {
    struct error error;
    struct str channel; /* lies in bytes */
    char bytes[];
};

/* The outcome of one publication: the publication itself once it is answered, or a failure. */
struct batch_item {
    struct publication *publication;
    struct failure *failure;
};

/* A command of a batch: one publish, a broadcast of several items, or one that could not be read. */
struct group {
    bool is_list;
    size_t first;
    size_t count;
};

/* A request whose publications are under way. */
struct gather {
    struct api_request request;
    size_t left; /* to be answered, plus one while they are being sent */
    size_t item_count;
    size_t item_cap;
    struct batch_item *items;
    size_t group_count;
    size_t group_cap;
    struct group *groups;
    bool is_batch;
};

/* --- the answer
 * ------------------------------------------------------------------------------------------------------- */

static void append_item(struct buf *out, const struct batch_item *item, bool with_channel)
{
    buf_append_char(out, '{');
    if (with_channel) {
        buf_append_lit(out, "\"channel\":");
        json_append_string(out, item->publication ? item->publication->base.channel : item->failure->channel);
        buf_append_char(out, ',');
    }
    if (item->publication)
        api_append_published(out, item->publication);
    else
        api_append_error(out, &item->failure->error);
    buf_append_char(out, '}');
}

static void append_list(struct buf *out, const struct batch_item *items, size_t count)
{
    buf_append_lit(out, "{\"results\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_char(out, ',');
        append_item(out, &items[i], true);
    }
    buf_append_lit(out, "]}");
}

static void append_batch(struct buf *out, const struct gather *gather)
{
    buf_append_lit(out, "{\"results\":[");
    for (size_t i = 0; i < gather->group_count; i++) {
        const struct group *group = &gather->groups[i];
        if (i)
            buf_append_char(out, ',');
        if (group->is_list)
            append_list(out, &gather->items[group->first], group->count);
        else
            append_item(out, &gather->items[group->first], false);
    }
    buf_append_lit(out, "]}");
}

static void free_gather(struct gather *gather)
{
    for (size_t i = 0; i < gather->item_count; i++) {
        if (gather->items[i].publication)
            request_destroy(&gather->items[i].publication->base);
        free(gather->items[i].failure);
    }
    free(gather->items);
    free(gather->groups);
    free(gather);
}

static void finish_one(struct gather *gather)
{
    if (--gather->left > 0)
        return;
    struct buf *out = &gather->request.call->response.body;
    buf_reserve(out, gather->item_count * 64 + 32);
    if (gather->is_batch)
        append_batch(out, gather);
    else
        append_list(out, gather->items, gather->item_count);
    api_respond(&gather->request, 200);
    free_gather(gather);
}

static void published(struct request *asked, void *owner)
{
    struct gather *gather = asked->waiter;
    struct publication *publication = publication_of(asked);
    (void)owner;
    gather->items[publication->waiter_index].publication = publication;
    finish_one(gather);
}

/* --- items
 * ------------------------------------------------------------------------------------------------------------ */

static struct gather *create_gather(const struct api_request *request, bool is_batch)
{
    struct gather *gather = xcalloc(1, sizeof *gather);
    gather->request = *request;
    gather->is_batch = is_batch;
    gather->left = 1;
    return gather;
}

static struct batch_item *add_item(struct gather *gather)
{
    if (gather->item_count == gather->item_cap) {
        gather->item_cap = gather->item_cap ? gather->item_cap * 2 : 16;
        gather->items = xrealloc(gather->items, gather->item_cap * sizeof *gather->items);
    }
    struct batch_item *item = &gather->items[gather->item_count++];
    *item = (struct batch_item){0};
    return item;
}

static void add_group(struct gather *gather, bool is_list)
{
    if (gather->group_count == gather->group_cap) {
        gather->group_cap = gather->group_cap ? gather->group_cap * 2 : 16;
        gather->groups = xrealloc(gather->groups, gather->group_cap * sizeof *gather->groups);
    }
    gather->groups[gather->group_count++] = (struct group){.is_list = is_list, .first = gather->item_count};
}

static void add_failure(struct gather *gather, struct str channel, const struct error *error)
{
    struct failure *failure = xmalloc(sizeof *failure + channel.len);
    if (channel.len)
        memcpy(failure->bytes, channel.ptr, channel.len);
    failure->channel = str_from(failure->bytes, channel.len);
    failure->error = *error;
    add_item(gather)->failure = failure;
}

static void send_item(struct gather *gather, const struct event_offer *event)
{
    struct api *api = gather->request.api;
    struct publication *publication = api_make_publication(api, event);
    publication->waiter_index = gather->item_count;
    publication->base.reply_to = api->replies;
    publication->base.done = published;
    publication->base.waiter = gather;
    add_item(gather);
    gather->left++;
    api->ops->ask(api->owner, &publication->base);
}

/* --- broadcast
 * -------------------------------------------------------------------------------------------------------- */

/* An event and the channels it is for, all of them known to be strings. */
struct broadcast {
    struct event_offer event;
    struct json_value channels;
    size_t count;
};

static enum err read_broadcast(struct api *api, struct json_value object, const char *where, size_t room,
                               struct broadcast *out, struct error *error)
{
    struct str key;
    struct json_value channel;
    enum err err = api_read_event(api, object, where, &out->event, &out->channels, error);
    if (!err)
        err = api_check_event(api, &out->event, error);
    if (err)
        return err;
    out->count = 0;
    struct json_cursor cursor = json_walk(out->channels);
    for (; json_next(&cursor, &key, &channel); out->count++)
        if (channel.type != JSON_STRING)
            return error_set(error, ERR_INVALID_REQUEST, "channels[%zu]: expected a string", out->count);
    if (out->count > room)
        return error_set(error, ERR_TOO_LARGE, "channels: %zu, at most %zu events go into one request (api.max_batch)",
                         out->count, api->config.max_batch);
    return ERR_NONE;
}

static void send_broadcast(struct gather *gather, const struct broadcast *broadcast)
{
    struct str key;
    struct json_value channel;
    struct json_cursor cursor = json_walk(broadcast->channels);
    while (json_next(&cursor, &key, &channel)) {
        struct event_offer event = broadcast->event;
        struct error error;
        enum err err = api_text(gather->request.api, "channel", channel, &event.channel, &error);
        if (!err)
            err = channel_check(event.channel, &error);
        if (err)
            add_failure(gather, event.channel, &error);
        else
            send_item(gather, &event);
    }
}

void api_broadcast(const struct api_request *request)
{
    struct broadcast broadcast;
    struct json_value body;
    struct error error;
    struct api *api = request->api;
    enum err err = api_read_body(request, &body, &error);
    if (!err)
        err = read_broadcast(api, body, "", api->config.max_batch, &broadcast, &error);
    if (err) {
        api_respond_error(request, &error);
        return;
    }
    struct gather *gather = create_gather(request, false);
    send_broadcast(gather, &broadcast);
    finish_one(gather);
}

/* --- batch
 * ------------------------------------------------------------------------------------------------------------ */

static enum err no_room(const struct api *api, struct error *error)
{
    return error_set(error, ERR_TOO_LARGE, "at most %zu events go into one request (api.max_batch)",
                     api->config.max_batch);
}

static enum err run_publish(struct gather *gather, struct json_value object, size_t room, struct error *error)
{
    struct api *api = gather->request.api;
    struct event_offer event;
    enum err err = api_read_event(api, object, "publish", &event, NULL, error);
    if (!err)
        err = channel_check(event.channel, error);
    if (!err)
        err = api_check_event(api, &event, error);
    if (!err && room == 0)
        err = no_room(api, error);
    if (!err) {
        add_group(gather, false);
        send_item(gather, &event);
    }
    return err;
}

static enum err run_broadcast(struct gather *gather, struct json_value object, size_t room, struct error *error)
{
    struct broadcast broadcast;
    enum err err = read_broadcast(gather->request.api, object, "broadcast", room, &broadcast, error);
    if (!err) {
        add_group(gather, true);
        send_broadcast(gather, &broadcast);
    }
    return err;
}

static enum err run_command(struct gather *gather, struct json_value command, size_t room, struct error *error)
{
    struct json_value publish = {0}, broadcast = {0};
    const struct json_field fields[] = {
        {"publish", JSON_OBJECT, false, &publish},
        {"broadcast", JSON_OBJECT, false, &broadcast},
    };
    enum err err = json_bind_given(command, "command", fields, sizeof fields / sizeof *fields, error);
    if (err)
        return err;
    if ((publish.type != 0) == (broadcast.type != 0))
        return error_set(error, ERR_INVALID_REQUEST, "command: expected one of publish and broadcast");
    return publish.type ? run_publish(gather, publish, room, error) : run_broadcast(gather, broadcast, room, error);
}

static size_t count_elements(struct json_value array)
{
    struct str key;
    struct json_value element;
    struct json_cursor cursor = json_walk(array);
    size_t count = 0;
    while (json_next(&cursor, &key, &element))
        count++;
    return count;
}

static enum err read_batch(const struct api_request *request, struct json_value *out_commands, struct error *error)
{
    struct json_value body;
    const struct json_field fields[] = {{"commands", JSON_ARRAY, true, out_commands}};
    size_t max = request->api->config.max_batch;
    enum err err = api_read_body(request, &body, error);
    if (!err)
        err = json_bind_given(body, "", fields, 1, error);
    if (!err && count_elements(*out_commands) > max)
        err = error_set(error, ERR_TOO_LARGE, "commands: %zu, at most %zu go into one request (api.max_batch)",
                        count_elements(*out_commands), max);
    return err;
}

void api_batch(const struct api_request *request)
{
    struct json_value commands, command;
    struct error error;
    struct str key;
    if (read_batch(request, &commands, &error)) {
        api_respond_error(request, &error);
        return;
    }
    struct gather *gather = create_gather(request, true);
    struct json_cursor cursor = json_walk(commands);
    size_t max = request->api->config.max_batch;
    while (json_next(&cursor, &key, &command)) {
        size_t room = max > gather->item_count ? max - gather->item_count : 0;
        if (run_command(gather, command, room, &error)) {
            add_group(gather, false);
            add_failure(gather, STR(""), &error);
        }
        struct group *group = &gather->groups[gather->group_count - 1];
        group->count = gather->item_count - group->first;
    }
    finish_one(gather);
}
