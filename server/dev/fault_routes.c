/* fault_routes.c - rules, and faults at once, by HTTP. */
#include "common/base/alloc.h"
#include "common/protocol/channel_name.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/dev/line_faults.h"

/* The histories of a Redis are not this server's to lose. */
static enum err check_broker(const struct dev *dev, const struct fault_action *action, struct error *error)
{
    if (action->kind != FAULT_LOSE_HISTORY || !*dev->parts.options->redis_url)
        return ERR_NONE;
    return error_set(error, ERR_CONFLICT, "action: the histories are in Redis; lose_history needs the memory broker");
}

/* --- rules ------------------------------------------------------------------------------------------------------ */

static void add_rule(struct dev *dev, struct http_call *call, struct str rest)
{
    struct fault_rule *rule;
    struct error error;
    (void)rest;
    enum err err = fault_rules_add(&dev->lines.rules, call->request.body, &rule, &error);
    if (!err && (err = check_broker(dev, rule->action, &error)))
        fault_rules_remove(&dev->lines.rules, rule);
    if (err) {
        dev_refuse(call, err_http_status(err), &error);
        return;
    }
    fault_rule_print(&call->response.body, rule);
    dev_answer(call);
}

static void list_rules(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)rest;
    buf_append_lit(&call->response.body, "{\"rules\":");
    fault_rules_print(&call->response.body, &dev->lines.rules, false);
    buf_append_char(&call->response.body, '}');
    dev_answer(call);
}

/* NULL: the call has been answered. */
static struct fault_rule *find_rule(struct dev *dev, struct http_call *call, struct str id)
{
    struct fault_rule *rule = fault_rules_find(&dev->lines.rules, id);
    struct error error;
    char quoted[ERROR_QUOTE_LEN];
    if (rule)
        return rule;
    error_set(&error, ERR_NOT_FOUND, "there is no rule %s; GET /dev/v1/rules lists them", error_quote(id, quoted));
    dev_refuse(call, 404, &error);
    return NULL;
}

static void show_rule(struct dev *dev, struct http_call *call, struct str id)
{
    const struct fault_rule *rule = find_rule(dev, call, id);
    if (!rule)
        return;
    fault_rule_print(&call->response.body, rule);
    dev_answer(call);
}

static void remove_rule(struct dev *dev, struct http_call *call, struct str id)
{
    struct fault_rule *rule = find_rule(dev, call, id);
    if (!rule)
        return;
    fault_rules_remove(&dev->lines.rules, rule);
    dev_answer(call);
}

static void remove_rules(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)rest;
    fault_rules_empty(&dev->lines.rules);
    dev_answer(call);
}

/* --- at once ---------------------------------------------------------------------------------------------------- */

/* What an order is about. The texts lie in texts; those that were not given are empty. */
struct target {
    struct str session, user, channel;
    struct str one; /* the channel, if it is no pattern */
    bool all;
    struct buf texts;
};

static enum err read_text(struct json_value value, const char *name, struct buf *texts, struct str *out,
                          struct error *error)
{
    *out = STR("");
    if (!value.type || (json_text(value, texts, out) && out->len > 0))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "on.%s: expected a text that is not empty, without \\u0000", name);
}

static enum err read_target(struct json_value object, struct target *out, struct error *error)
{
    struct json_value session = {0}, user = {0}, channel = {0}, all = {0};
    const struct json_field fields[] = {{"session", JSON_STRING, false, &session},
                                        {"user", JSON_STRING, false, &user},
                                        {"channel", JSON_STRING, false, &channel},
                                        {"all", JSON_BOOL, false, &all}};
    enum err err = dev_json_bind_object(object, "on", fields, sizeof fields / sizeof *fields, error);
    buf_reserve(&out->texts, object.raw.len); /* so that no text in it moves */
    if (!err)
        err = read_text(session, "session", &out->texts, &out->session, error);
    if (!err)
        err = read_text(user, "user", &out->texts, &out->user, error);
    if (!err)
        err = read_text(channel, "channel", &out->texts, &out->channel, error);
    if (err)
        return err;
    out->one = memchr(out->channel.ptr, '*', out->channel.len) ? STR("") : out->channel;
    out->all = all.type && str_eq(all.raw, STR("true"));
    if (!!session.type + !!user.type + !!channel.type + out->all != 1)
        return error_set(error, ERR_INVALID_REQUEST,
                         "on: expected one of {\"session\":…}, {\"user\":…}, {\"channel\":…} and {\"all\":true}");
    return channel.type ? pattern_check(out->channel, error) : ERR_NONE;
}

static bool has_channel(const struct session *session, struct str pattern)
{
    for (uint32_t i = 0; i < session->subscription_count; i++)
        if (pattern_matches(pattern, channel_name(session->subscriptions[i].channel), NULL, NULL))
            return true;
    return false;
}

/* A frozen line keeps the connection of a session that has ended, until it thaws or is reset. */
static bool may_act_on(const struct session *session, const struct fault_action *action)
{
    return session->state == SESSION_OPEN ||
           (session->state == SESSION_CLOSING && (action->kind == FAULT_FREEZE || action->kind == FAULT_RESET));
}

static bool is_meant(const struct session *session, const struct target *target)
{
    if (target->session.len)
        return str_eq_cstr(target->session, session->uuid);
    if (target->user.len)
        return str_eq(target->user, session->claims->sub);
    return target->all || has_channel(session, target->channel);
}

/* A fault of messages happens to the next one of the session. */
static enum err act_on(struct dev *dev, struct session *session, struct fault_action *action,
                       const struct target *target, struct buf *out_rules, struct error *error)
{
    struct fault_rule *rule;
    if (!(fault_where(action->kind) & ON_MESSAGE)) {
        line_faults_do(line_of(session), action, &(struct fault_cause){.rule = "", .channel = target->one});
        return ERR_NONE;
    }
    enum err err =
        fault_rules_add_for_session(&dev->lines.rules, str_from(session->uuid, UUID_LEN), action, &rule, error);
    if (!err)
        buf_appendf(out_rules, "%s\"%s\"", out_rules->len ? "," : "", rule->id);
    return err;
}

/* A channel can lose its history without a subscriber. */
static void lose_unused(struct dev *dev, const struct fault_action *action, struct str channel)
{
    const struct channel *used = hub_channel(dev->parts.hub, channel);
    if (action->kind != FAULT_LOSE_HISTORY || (used && channel_subscribers(used) > 0) ||
        !dev_broker_lose_history(&dev->broker, channel))
        return;
    journal_add(&dev->journal, hub_wall_ms(dev->parts.hub),
                &(struct journal_note){.kind = JOURNAL_RULE, .channel = channel, .text = buf_str(&action->words)});
}

static enum err act(struct dev *dev, struct fault_action *action, const struct target *target, struct buf *out,
                    struct error *error)
{
    struct buf rules = {0};
    size_t cursor = 0, count = 0;
    enum err err = ERR_NONE;
    if (fault_where(action->kind) == (AT_CONNECT | ON_MESSAGE))
        return error_set(error, ERR_INVALID_REQUEST,
                         "action: %s happens to clients that connect; POST it to /dev/v1/rules",
                         buf_cstr(&action->words));
    lose_unused(dev, action, target->one);
    for (struct session *session; !err && (session = session_index_next(hub_sessions(dev->parts.hub), &cursor));) {
        if (!may_act_on(session, action) || !is_meant(session, target))
            continue;
        err = act_on(dev, session, action, target, &rules, error);
        count += !err;
    }
    buf_appendf(out, "{\"count\":%zu", count);
    if (rules.len)
        buf_appendf(out, ",\"rules\":[%s]", buf_cstr(&rules));
    buf_append_char(out, '}');
    buf_fini(&rules);
    return err;
}

static enum err read_order(struct str body, struct target *target, struct fault_action **out, struct error *error)
{
    struct json_value on, action;
    const struct json_field fields[] = {{"on", JSON_OBJECT, true, &on}, {"action", JSON_OBJECT, true, &action}};
    enum err err = dev_json_bind(body, fields, sizeof fields / sizeof *fields, error);
    if (!err)
        err = read_target(on, target, error);
    return err ? err : fault_action_read(action, out, error);
}

static void do_now(struct dev *dev, struct http_call *call, struct str rest)
{
    struct target target = {0};
    struct fault_action *action = NULL;
    struct error error;
    (void)rest;
    enum err err = read_order(call->request.body, &target, &action, &error);
    if (!err)
        err = check_broker(dev, action, &error);
    if (!err)
        err = act(dev, action, &target, &call->response.body, &error);
    if (err)
        dev_refuse(call, err_http_status(err), &error);
    else
        dev_answer(call);
    if (action)
        fault_action_unref(action);
    buf_fini(&target.texts);
}

const struct dev_route fault_routes[] = {{"POST", "/dev/v1/do", do_now},
                                         {"POST", "/dev/v1/rules", add_rule},
                                         {"GET", "/dev/v1/rules", list_rules},
                                         {"DELETE", "/dev/v1/rules", remove_rules},
                                         {"GET", "/dev/v1/rules/{id}", show_rule},
                                         {"DELETE", "/dev/v1/rules/{id}", remove_rule},
                                         {0}};
