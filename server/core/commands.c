/* commands.c - what a client asks, and the reply once the node has answered. A bad message is answered with an error.
 */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/core/hub_private.h"
#include "server/core/subscribe_question.h"

static void answer_error(struct hub *hub, struct session *session, struct str id, const struct error *error,
                         struct str channel)
{
    char quoted[ERROR_QUOTE_LEN];
    log_debug("core", "session %s, channel %s: %s: %s", session->uuid, error_quote(channel, quoted),
              err_code(error->code), error->text);
    output_error(hub, session, id, channel, error->code, str_from_cstr(error->text));
}

static void refuse(struct hub *hub, struct session *session, const struct command *command, enum err code,
                   const char *text)
{
    output_error(hub, session, command->id, command->channel, code, str_from_cstr(text));
}

enum { WAITING_MAX = 16 };

static size_t count_waiting(const struct subscription *subscription)
{
    size_t count = 0;
    for (const struct waiting_command *waiting = subscription->waiting; waiting; waiting = waiting->next)
        count++;
    return count;
}

/* The channel is not subscribed yet. False: the client has been told why it does not get it. */
static bool may_begin(struct hub *hub, struct session *session, const struct command *command)
{
    struct error error;
    if (access_check(hub->rules, command->channel, session->claims, ALLOW_SUBSCRIBE, &error)) {
        answer_error(hub, session, command->id, &error, command->channel);
        return false;
    }
    uint32_t most = session->endpoint->limits.channels;
    if (session->subscription_count >= most) {
        char text[128];
        snprintf(text, sizeof text,
                 "this connection has %zu channels, and limits.channels is %u; unsubscribe from one first",
                 (size_t)session->subscription_count, most);
        refuse(hub, session, command, ERR_SUBSCRIPTION_FAILED, text);
        return false;
    }
    return true;
}

static void begin(struct hub *hub, struct session *session, const struct command *command)
{
    struct subscription *subscription = command->has_since || (command->has_last && command->last > 0)
                                            ? recover_subscribe(hub, session, command->channel, command)
                                            : subscription_begin(hub, session, command->channel);
    subscription_answer(hub, session, subscription, command->id);
}

static void ask_upstream(struct hub *hub, struct session *session, const struct command *command)
{
    struct upstream_session *state = session->upstream;
    if (state->questions >= WAITING_MAX) {
        refuse(hub, session, command, ERR_RATE_LIMITED, "enough subscribes wait for the backend already");
        return;
    }
    state->questions++;
    state->upstream->ops->ask(state, subscribe_question_create(command));
}

static void subscribe(struct hub *hub, struct session *session, const struct command *command)
{
    struct error error;
    if (channel_name_check(command->channel, &error)) {
        answer_error(hub, session, command->id, &error, command->channel);
        return;
    }
    struct subscription *subscription = subscription_find(session, command->channel);
    if (!subscription) {
        if (!may_begin(hub, session, command))
            return;
        if (session->upstream && session->upstream->upstream->is_asked)
            ask_upstream(hub, session, command);
        else
            begin(hub, session, command);
    } else if (count_waiting(subscription) >= WAITING_MAX) {
        refuse(hub, session, command, ERR_RATE_LIMITED, "enough subscribes wait for this channel already");
    } else {
        subscription_answer(hub, session, subscription, command->id);
    }
}

/* Rules, claims and subscriptions may have changed meanwhile. */
void hub_answer_subscribe(struct hub *hub, struct session *session, struct subscribe_question *question, enum err err,
                          struct str text)
{
    const struct command *command = &question->command;
    struct subscription *subscription = subscription_find(session, command->channel);
    session->upstream->questions--;
    if (err)
        output_error(hub, session, command->id, command->channel, err, text);
    else if (subscription)
        subscription_answer(hub, session, subscription, command->id);
    else if (may_begin(hub, session, command))
        begin(hub, session, command);
    free(question);
}

static void unsubscribe(struct hub *hub, struct session *session, const struct command *command)
{
    struct subscription *subscription = subscription_find(session, command->channel);
    if (subscription)
        subscription_end(hub, session, subscription, LEFT_TOO_SOON);
    output_unsubscribed(hub, session, command->id, command->channel);
}

static void ping(struct hub *hub, struct session *session, const struct command *command)
{
    const struct reply reply = {.type = REPLY_PONG, .id = command->id, .pong = {.wall_ms = hub->wall_ms}};
    output_reply(hub, session, &reply);
}

static struct reply published_reply(struct session *session, const struct publication *publication)
{
    if (publication->offset == 1 && !publication->duplicate)
        command_began_history(session->hub, session);
    return (struct reply){.type = REPLY_PUBLISHED,
                          .published = {.event = {.epoch = str_from_cstr(publication->epoch),
                                                  .offset = publication->offset,
                                                  .id = str_from_cstr(publication->id)},
                                        .duplicate = publication->duplicate}};
}

static struct reply history_reply(const struct history_read *read)
{
    return (struct reply){.type = REPLY_HISTORY,
                          .history = {.position = {.epoch = str_from_cstr(read->epoch), .offset = read->offset},
                                      .events = buf_str(&read->text),
                                      .more = read->more}};
}

static struct reply presence_reply(const struct presence_read *read)
{
    return (struct reply){.type = REPLY_PRESENCE, .presence = presence_read_page(read)};
}

/* The node has answered what a command asked: the client gets its reply. */
static void answer_command(struct session *session, struct request *request)
{
    struct hub *hub = session->hub;
    struct reply reply = {0};
    command_page_came(session, request);
    if (request->error) {
        output_error(hub, session, request->command_id, request->channel, request->error->code,
                     str_from_cstr(request->error->text));
        return;
    }
    switch (request->kind) {
    case REQUEST_PUBLISH: reply = published_reply(session, publication_of(request)); break;
    case REQUEST_HISTORY: reply = history_reply(history_read_of(request)); break;
    case REQUEST_PRESENCE_READ: reply = presence_reply(presence_read_of(request)); break;
    case REQUEST_RECOVERY: /* no command is answered by this one, or by one of those that follow */
    case REQUEST_REVOKE:
    case REQUEST_SESSION_SLOT:
    case REQUEST_PRESENCE_UPDATE:
    case REQUEST_TICKET:
    case REQUEST_SURVEY:
    case REQUEST_STREAM_APPEND:
    case REQUEST_LIFECYCLE_WRITE:
    case REQUEST_LIFECYCLE_LOST:
    case REQUEST_LIFECYCLE_READ: return;
    }
    reply.id = request->command_id;
    reply.channel = request->channel;
    output_reply(hub, session, &reply);
}

/* For a channel whose rule says so: its readers may trust sender_id. The offer has passed event_offer_check. */
static enum err check_sender(const struct session *session, const struct event_offer *offer, struct error *error)
{
    if (!str_eq_cstr(offer->type, "chat_message"))
        return ERR_NONE;
    struct str sender = json_member(offer->data, STR("sender_id")).raw;
    if (json_key_is(str_from(sender.ptr + 1, sender.len - 2), session->claims->sub))
        return ERR_NONE;
    char quoted[ERROR_QUOTE_LEN];
    return error_set(error, ERR_FORBIDDEN,
                     "data.sender_id: on this channel it must be the user of the token, %s (the rule's \"sender\" is "
                     "verified)",
                     error_quote(session->claims->sub, quoted));
}

static enum err check_publication(struct hub *hub, struct session *session, const struct event_offer *offer,
                                  struct keeping *out_keeping, struct error *error)
{
    if (channel_check(offer->channel, error))
        return error->code;
    if (access_check(hub->rules, offer->channel, session->claims, ALLOW_PUBLISH, error))
        return error->code;
    const struct event_limits limits = {hub->settings.event_bytes, hub->settings.custom_events};
    if (event_offer_check(offer, &limits, error))
        return error->code;
    /* Not of the rule which allows it: this publisher's claims may have passed over the channel's. */
    *out_keeping = rules_keeping(hub->rules, offer->channel);
    return out_keeping->verify_sender ? check_sender(session, offer, error) : ERR_NONE;
}

static void publish(struct hub *hub, struct session *session, const struct command *command)
{
    const struct str uuid = str_from(session->uuid, UUID_LEN);
    struct event_offer offer = {.channel = command->channel,
                                .type = command->event_type,
                                .data = command->data,
                                .event_id = command->event_id,
                                .has_event_id = command->has_event_id,
                                .exclude = command->no_echo ? uuid : (struct str){0}};
    struct keeping keeping = {0};
    struct error error;
    if (check_publication(hub, session, &offer, &keeping, &error)) {
        answer_error(hub, session, command->id, &error, command->channel);
        return;
    }
    if (keeping.publisher == PUBLISHER_USER)
        offer.user = session->claims->sub;
    else if (keeping.publisher == PUBLISHER_SESSION)
        offer.session = uuid;
    struct publication *publication = publication_create(&offer, command->id);
    publication->history = keeping.history;
    publication->user_hash = str_hash(session->claims->sub);
    publication->accepted_us = hub->now_us;
    metrics_add_labelled(hub->metrics, METRIC_EVENTS_IN, METRICS_SOURCE_WEBSOCKET, 1);
    metrics_add(hub->metrics, METRIC_EVENTS_IN_BYTES, command->data.raw.len);
    session_ask(session, &publication->base, answer_command);
}

static void history(struct hub *hub, struct session *session, const struct command *command)
{
    struct error error;
    if (channel_check(command->channel, &error) ||
        access_check(hub->rules, command->channel, session->claims, ALLOW_HISTORY, &error)) {
        answer_error(hub, session, command->id, &error, command->channel);
        return;
    }
    if (command->has_limit && (command->limit == 0 || command->limit > HISTORY_LIMIT_MAX)) {
        error_set(&error, ERR_INVALID_REQUEST, "data.limit: expected 1 to %d", HISTORY_LIMIT_MAX);
        answer_error(hub, session, command->id, &error, command->channel);
        return;
    }
    if (!command_begin_page(hub, session, command))
        return;
    struct history_read *read = history_read_create(command->channel, command->id);
    read->backwards = !command->has_since;
    read->after = command->since.offset;
    read->before = command->has_before && command->before.offset == 0 ? 1 : command->before.offset; /* nothing below */
    history_read_expect(read, command->has_since ? command->since.epoch : command->before.epoch);
    read->limit = command->has_limit ? (uint32_t)command->limit : HISTORY_LIMIT_DEFAULT;
    read->max_bytes = HISTORY_PAGE_BYTES;
    session_ask(session, &read->base, answer_command);
}

static enum err check_presence(struct hub *hub, const struct session *session, const struct command *command,
                               struct presence_policy *out_policy, struct error *error)
{
    if (channel_check(command->channel, error))
        return error->code;
    if (access_check(hub->rules, command->channel, session->claims, ALLOW_PRESENCE, error))
        return error->code;
    /* The channel's own, not that of the rule which lets this one see. */
    struct presence_policy policy = rules_keeping(hub->rules, command->channel).presence;
    if (!policy.kept)
        return error_set(error, ERR_NOT_FOUND, "presence is off for this channel: its rule needs \"presence\": true");
    if (command->has_limit && (command->limit == 0 || command->limit > PRESENCE_PAGE_MAX))
        return error_set(error, ERR_INVALID_REQUEST, "data.limit: expected 1 to %d", PRESENCE_PAGE_MAX);
    *out_policy = policy;
    return ERR_NONE;
}

static void presence(struct hub *hub, struct session *session, const struct command *command)
{
    struct presence_policy policy;
    struct error error;
    if (check_presence(hub, session, command, &policy, &error)) {
        answer_error(hub, session, command->id, &error, command->channel);
        return;
    }
    if (!command_begin_page(hub, session, command))
        return;
    uint64_t limit = command->has_limit ? command->limit : PRESENCE_PAGE_DEFAULT;
    struct presence_read *read = presence_read_create(&policy, command->channel, command->after, limit, command->id);
    session_ask(session, &read->base, answer_command);
}

/* Ends subscriptions that the session's claims (and the rules) no longer allow, and tells the client. */
static void recheck_access(struct hub *hub, struct session *session)
{
    /* From the end: the last one takes the place of one that goes. */
    for (uint32_t i = session->subscription_count; i-- > 0;) {
        struct subscription *subscription = &session->subscriptions[i];
        struct str name = subscription->channel->name; /* the channel lingers, so its name stays */
        if (subscription->by_backend || (access_allowed(hub->rules, name, session->claims) & ALLOW_SUBSCRIBE))
            continue;
        subscription_end(hub, session, subscription, LEFT_TOO_SOON);
        output_unsubscribed(hub, session, STR(""), name);
    }
}

/* Takes the reference. */
static void use_claims(struct hub *hub, struct session *session, struct claims *claims)
{
    uint64_t end_ms = claims_end_by_backend(claims);
    bool end_stays = end_ms && end_ms == liveness_end_ms(hub, session);
    claims_unref(session->claims);
    session->claims = claims;
    session->late_token = claims->exp_ms && claims->exp_ms <= hub->wall_ms;
    if (!end_stays || end_ms != liveness_end_ms(hub, session))
        session->expiry_warned = false;
    if (!hub->draining)
        wheel_stop(&hub->wheel, &session->deadline);
}

static void refresh(struct hub *hub, struct session *session, const struct command *command)
{
    struct claims *claims = NULL;
    struct error error;
    error.code = ERR_NONE;
    enum reason reason = hub->ops->verify(hub->owner, session, command->token, &claims, &error);
    if (reason != REASON_NONE) {
        char text[sizeof error.text + 32];
        snprintf(text, sizeof text, "%s: %s", reason_text(reason), error.code ? error.text : reason_sentence(reason));
        refuse(hub, session, command, reason_err(reason), text);
        return;
    }
    if (!str_eq(claims->sub, claims_of_token(session->claims)->sub)) {
        claims_unref(claims);
        refuse(hub, session, command, ERR_CONFLICT, "the new token is another user's; open a new connection for it");
        return;
    }
    if (claims_change_again(session->claims, &claims, &error)) {
        claims_unref(claims);
        answer_error(hub, session, command->id, &error, STR(""));
        return;
    }
    use_claims(hub, session, claims);
    const struct reply reply = {
        .type = REPLY_REFRESHED, .id = command->id, .refreshed = {.expires_ms = claims->exp_ms}};
    output_reply(hub, session, &reply);
    recheck_access(hub, session);
    liveness_watch_fresh(hub, session);
}

static void (*const handlers[COMMAND_TYPE_COUNT])(struct hub *, struct session *, const struct command *) = {
    [COMMAND_SUBSCRIBE] = subscribe, [COMMAND_UNSUBSCRIBE] = unsubscribe, [COMMAND_PING] = ping,
    [COMMAND_PUBLISH] = publish,     [COMMAND_PRESENCE] = presence,       [COMMAND_HISTORY] = history,
    [COMMAND_REFRESH] = refresh,
};

static enum err check_epoch(const char *name, bool given, struct str epoch, struct error *error)
{
    if (!given || (epoch.len > 0 && epoch.len <= EPOCH_MAX))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "%s: expected 1 to %d bytes, found %zu", name, EPOCH_MAX, epoch.len);
}

/* A dialect checks form only. What the hub copies into a place of fixed size is checked here, for all dialects. */
static enum err parse(struct hub *hub, const struct session *session, struct str text, struct command *out,
                      struct error *error)
{
    enum err err = session->format->dialect->parse(text, out, &hub->parse, error);
    if (!err)
        err = check_epoch("data.since.epoch", out->has_since, out->since.epoch, error);
    if (!err)
        err = check_epoch("data.before.epoch", out->has_before, out->before.epoch, error);
    return err;
}

void command_receive(struct hub *hub, struct session *session, struct str text)
{
    struct command command;
    struct error error;
    uint64_t retry_us;
    enum err err = parse(hub, session, text, &command, &error);
    if (!command_pay(session, err ? 1 : command_cost(&command), &retry_us)) {
        command_too_fast(retry_us, &error);
        answer_error(hub, session, command.id, &error, STR(""));
        command_count_bad(session, METRIC_RATE_LIMITED_MESSAGES, REASON_RATE_LIMITED);
        return;
    }
    if (err) {
        answer_error(hub, session, command.id, &error, STR(""));
        command_count_bad(session, METRIC_BAD_MESSAGES, REASON_BAD_MESSAGES);
        return;
    }
    metrics_add_labelled(hub->metrics, METRIC_COMMANDS, command.type, 1);
    session->bad_messages = 0;
    handlers[command.type](hub, session, &command);
}
