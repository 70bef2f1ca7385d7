/* fault_rules.c - see fault_rules.h. */
#include "server/dev/fault_rules.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/protocol/channel_name.h"
#include "server/dev/dev_json.h"
#include "server/dev/json_match.h"

void fault_rules_init(struct fault_rules *rules)
{
    *rules = (struct fault_rules){0};
    list_init(&rules->list);
}

void fault_rules_fini(struct fault_rules *rules)
{
    fault_rules_empty(rules);
}

static struct fault_rule *rule_of(struct list_link *link)
{
    return CONTAINER_OF(link, struct fault_rule, link);
}

static void name(struct fault_rule *rule)
{
    snprintf(rule->id, sizeof rule->id, "r%llu", (unsigned long long)rule->number);
}

static void destroy(struct fault_rule *rule)
{
    if (rule->action)
        fault_action_unref(rule->action);
    buf_fini(&rule->match);
    buf_fini(&rule->comment);
    buf_fini(&rule->texts);
    free(rule);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum fault_where at;
} places[] = {{"connect", AT_CONNECT}, {"in", AT_IN}, {"out", AT_OUT}};

static const char *place_name(enum fault_where at)
{
    return at == AT_CONNECT ? "connect" : at == AT_IN ? "in" : "out";
}

/* Without "at" it is where the action most often happens. */
static enum fault_where usual_place(enum fault_kind kind)
{
    unsigned where = fault_where(kind);
    return where & AT_OUT ? AT_OUT : where & AT_IN ? AT_IN : AT_CONNECT;
}

static enum err read_place(struct json_value value, struct fault_rule *rule, struct error *error)
{
    struct str given = value.type ? str_from(value.raw.ptr + 1, value.raw.len - 2) : STR("");
    unsigned possible = fault_where(rule->action->kind);
    rule->at = value.type ? 0 : usual_place(rule->action->kind);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (str_eq_cstr(given, places[i].name))
            rule->at = places[i].at;
    if (!rule->at)
        return error_set(error, ERR_INVALID_REQUEST, "match.at: expected in, out or connect");
    if (rule->at & possible)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "match.at: %s cannot act at %s; it acts at%s%s%s",
                     buf_cstr(&rule->action->words), place_name(rule->at), possible & AT_CONNECT ? " connect" : "",
                     possible & AT_IN ? " in" : "", possible & AT_OUT ? " out" : "");
}

/* The texts of a rule lie in one buffer, which has room for all of them. */
static enum err read_text(struct fault_rule *rule, const char *name, struct json_value value, struct str *out,
                          struct error *error)
{
    struct buf scratch = {0};
    struct str text = STR("");
    bool good = !value.type || json_text(value, &scratch, &text);
    if (good && value.type && text.len == 0)
        good = false;
    if (good) {
        *out = str_from(rule->texts.ptr + rule->texts.len, text.len);
        buf_append(&rule->texts, text);
    }
    buf_fini(&scratch);
    return good ? ERR_NONE
                : error_set(error, ERR_INVALID_REQUEST, "match.%s: expected a text that is not empty, without \\u0000",
                            name);
}

static enum err check_place(const struct fault_rule *rule, struct error *error)
{
    if (rule->at == AT_CONNECT && (rule->type.len || rule->channel.len || rule->session.len || rule->data.type))
        return error_set(error, ERR_INVALID_REQUEST,
                         "match: at connect there is no message yet; expected no more than user and nth");
    if (rule->channel.len)
        return pattern_check(rule->channel, error);
    return ERR_NONE;
}

static enum err read_match(struct json_value object, struct fault_rule *rule, struct error *error)
{
    struct json_value at = {0}, type = {0}, channel = {0}, user = {0}, session = {0}, nth = {0};
    const struct json_field fields[] = {
        {"at", JSON_STRING, false, &at},           {"type", JSON_STRING, false, &type},
        {"channel", JSON_STRING, false, &channel}, {"user", JSON_STRING, false, &user},
        {"session", JSON_STRING, false, &session}, {"data", JSON_ANY, false, &rule->data},
        {"nth", JSON_NUMBER, false, &nth},
    };
    if (!object.type)
        return read_place(at, rule, error);
    enum err err = dev_json_bind_object(object, "match", fields, sizeof fields / sizeof *fields, error);
    if (!err)
        err = read_place(at, rule, error);
    if (!err)
        err = read_text(rule, "type", type, &rule->type, error);
    if (!err)
        err = read_text(rule, "channel", channel, &rule->channel, error);
    if (!err)
        err = read_text(rule, "user", user, &rule->user, error);
    if (!err)
        err = read_text(rule, "session", session, &rule->session, error);
    if (!err && nth.type && (!json_u64(nth, &rule->nth) || rule->nth == 0))
        err = error_set(error, ERR_INVALID_REQUEST, "match.nth: expected a whole number from 1");
    return err ? err : check_place(rule, error);
}

/* "r12", as create() has named a rule. */
static bool take_id(struct json_value id, struct fault_rule *rule)
{
    struct str text = str_from(id.raw.ptr + 1, id.raw.len - 2);
    if (text.len < 2 || text.ptr[0] != 'r' || !str_to_u64(str_skip(text, 1), &rule->number))
        return false;
    name(rule);
    return str_eq_cstr(text, rule->id);
}

/* saved: as fault_rules_print has written it. */
static enum err read_rule(struct json_value object, bool saved, struct fault_rule *rule, struct error *error)
{
    struct json_value match = {0}, action = {0}, times = {0}, comment = {0}, id = {0}, hits = {0}, seen = {0};
    const struct json_field fields[] = {
        {"match", JSON_OBJECT, false, &match}, {"action", JSON_OBJECT, true, &action},
        {"times", JSON_NUMBER, false, &times}, {"comment", JSON_STRING, false, &comment},
        {"id", JSON_STRING, true, &id},        {"hits", JSON_NUMBER, true, &hits},
        {"seen", JSON_NUMBER, true, &seen},
    };
    enum err err = dev_json_bind_object(object, saved ? "rules" : "", fields, saved ? 7 : 4, error);
    if (!err)
        err = fault_action_read(action, &rule->action, error);
    if (!err && times.type && (!json_u64(times, &rule->times) || (rule->times == 0 && !saved)))
        err = error_set(error, ERR_INVALID_REQUEST, "times: expected a whole number from 1; leave it out for no end");
    if (!err && saved && (!json_u64(hits, &rule->hits) || !json_u64(seen, &rule->seen) || !take_id(id, rule)))
        err = error_set(error, ERR_INVALID_REQUEST, "rules: id, hits or seen is none that this server gives");
    if (err)
        return err;
    buf_append(&rule->match, match.type ? match.raw : STR("{}"));
    buf_append(&rule->comment, comment.raw);
    buf_reserve(&rule->texts, rule->match.len);
    /* The match is read from the rule's own copy, which its data stays in. */
    err = read_match(match.type ? json_value_of(buf_str(&rule->match)) : match, rule, error);
    if (!err && rule->nth && !times.type)
        rule->times = 1;
    return err;
}

static enum err check_room(const struct fault_rules *rules, struct error *error)
{
    if (rules->count < FAULT_RULES_MAX)
        return ERR_NONE;
    return error_set(error, ERR_RATE_LIMITED, "there are %d rules, as many as there may be; delete some first",
                     FAULT_RULES_MAX);
}

static struct fault_rule *create(struct fault_rules *rules)
{
    struct fault_rule *rule = xcalloc(1, sizeof *rule);
    rule->times = UINT64_MAX;
    rule->number = rules->last + 1;
    name(rule);
    return rule;
}

enum err fault_rules_add(struct fault_rules *rules, struct str json, struct fault_rule **out, struct error *error)
{
    struct json_value object;
    enum err err = check_room(rules, error);
    if (!err && json.len > FAULT_RULE_BYTES)
        err = error_set(error, ERR_TOO_LARGE, "a rule has at most %d bytes, this one has %zu", FAULT_RULE_BYTES,
                        json.len);
    if (!err)
        err = json_check(json, NULL, &object, error);
    if (err)
        return err;
    struct fault_rule *rule = create(rules);
    err = read_rule(object, false, rule, error);
    if (err) {
        destroy(rule);
        return err;
    }
    rules->last++;
    rules->count++;
    list_append(&rules->list, &rule->link);
    *out = rule;
    return ERR_NONE;
}

enum err fault_rules_add_for_session(struct fault_rules *rules, struct str session, struct fault_action *action,
                                     struct fault_rule **out, struct error *error)
{
    enum err err = check_room(rules, error);
    if (err)
        return err;
    struct fault_rule *rule = create(rules);
    rule->action = fault_action_ref(action);
    rule->at = usual_place(action->kind);
    rule->times = action->kind == FAULT_REORDER ? action->window : 1;
    buf_append(&rule->texts, session);
    rule->session = buf_str(&rule->texts);
    buf_appendf(&rule->match, "{\"at\":\"%s\",\"session\":\"%.*s\"}", place_name(rule->at), STR_ARG(session));
    rules->last++;
    rules->count++;
    list_append(rules->list.next, &rule->link); /* list_append puts it before its head: here before the first rule */
    *out = rule;
    return ERR_NONE;
}

struct fault_rule *fault_rules_find(const struct fault_rules *rules, struct str id)
{
    LIST_EACH(link, &rules->list)
    if (str_eq_cstr(id, rule_of(link)->id))
        return rule_of(link);
    return NULL;
}

void fault_rules_remove(struct fault_rules *rules, struct fault_rule *rule)
{
    list_remove(&rule->link);
    rules->count--;
    destroy(rule);
}

void fault_rules_empty(struct fault_rules *rules)
{
    LIST_EACH(link, &rules->list)
    fault_rules_remove(rules, rule_of(link));
}

void fault_rules_rewind(struct fault_rules *rules)
{
    fault_rules_empty(rules);
    rules->last = 0;
}

/* --- matching --------------------------------------------------------------------------------------------------- */

static bool text_fits(struct str wanted, struct str found)
{
    return wanted.len == 0 || str_eq(wanted, found);
}

static bool fits(const struct fault_rule *rule, const struct fault_subject *subject)
{
    static const struct frame_facts none;
    const struct frame_facts *facts = subject->facts ? subject->facts : &none;
    return rule->times > 0 && rule->at == subject->at && text_fits(rule->user, subject->user) &&
           text_fits(rule->session, subject->session) && text_fits(rule->type, facts->type) &&
           (rule->channel.len == 0 ||
            (facts->channel.len > 0 && pattern_matches(rule->channel, facts->channel, NULL, NULL))) &&
           (!rule->data.type || json_matches(rule->data, facts->data));
}

struct fault_rule *fault_rules_match(struct fault_rules *rules, const struct fault_subject *subject)
{
    LIST_EACH(link, &rules->list)
    {
        struct fault_rule *rule = rule_of(link);
        if (!fits(rule, subject) || ++rule->seen < rule->nth)
            continue;
        rule->hits++;
        if (rule->times != UINT64_MAX)
            rule->times--;
        return rule;
    }
    return NULL;
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static void print(struct buf *out, const struct fault_rule *rule, bool saved)
{
    buf_appendf(out, "{\"id\":\"%s\",\"match\":", rule->id);
    buf_append(out, buf_str(&rule->match));
    buf_append_lit(out, ",\"action\":");
    buf_append(out, buf_str(&rule->action->json));
    if (rule->times != UINT64_MAX)
        buf_appendf(out, ",\"times\":%llu", (unsigned long long)rule->times);
    if (rule->comment.len) {
        buf_append_lit(out, ",\"comment\":");
        buf_append(out, buf_str(&rule->comment));
    }
    buf_appendf(out, ",\"hits\":%llu", (unsigned long long)rule->hits);
    if (saved)
        buf_appendf(out, ",\"seen\":%llu", (unsigned long long)rule->seen);
    buf_append_char(out, '}');
}

void fault_rule_print(struct buf *out, const struct fault_rule *rule)
{
    print(out, rule, false);
}

void fault_rules_print(struct buf *out, const struct fault_rules *rules, bool saved)
{
    bool more = false;
    buf_append_char(out, '[');
    LIST_EACH(link, &rules->list)
    {
        if (more)
            buf_append_char(out, ',');
        more = true;
        print(out, rule_of(link), saved);
    }
    buf_append_char(out, ']');
}

/* --- putting back ----------------------------------------------------------------------------------------------- */

static enum err read_saved(struct fault_rules *out, struct json_value object, struct error *error)
{
    enum err err = check_room(out, error);
    if (err)
        return err;
    struct fault_rule *rule = create(out);
    err = read_rule(object, true, rule, error);
    if (err) {
        destroy(rule);
        return err;
    }
    out->last = rule->number > out->last ? rule->number : out->last;
    out->count++;
    list_append(&out->list, &rule->link);
    return ERR_NONE;
}

enum err fault_rules_read(struct fault_rules *out, struct json_value list, struct error *error)
{
    struct json_cursor cursor = json_walk(list);
    struct str none;
    struct json_value item;
    enum err err = ERR_NONE;
    while (!err && json_next(&cursor, &none, &item))
        err = read_saved(out, item, error);
    if (err)
        fault_rules_rewind(out);
    return err;
}

void fault_rules_replace(struct fault_rules *rules, struct fault_rules *with)
{
    fault_rules_empty(rules);
    for (struct list_link *link; (link = list_take_first(&with->list));)
        list_append(&rules->list, link);
    rules->count = with->count;
    rules->last = with->last;
    with->count = 0;
}
