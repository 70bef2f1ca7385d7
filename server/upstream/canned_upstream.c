/* canned_upstream.c - see canned_upstream.h. */
#include "server/upstream/canned_upstream.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/json/json_pointer.h"
#include "common/json/json_template.h"
#include "server/core/hub.h"
#include "server/core/session.h"

enum { FRAMES_MAX = 100, EVERY_MS_MIN = 1, EVERY_MS_MAX = 60000, EVERY_MS = 500 };

/* Answers of one session that may be under way before its client is no longer read. */
enum { ANSWERS_MAX = 64 };

enum { PLACE_ID, PLACE_ACTION, PLACE_TEXT, PLACE_N, PLACE_BYTES, PLACE_LAST, PLACES };
static const char *const place_names[PLACES] = {"id", "action", "text", "n", "bytes", "last"};

static const char *const action_pointers[] = {"/headers/action", "/action", "/type"};
enum { ACTIONS = sizeof action_pointers / sizeof *action_pointers };

struct canned_upstream {
    struct upstream base;
    struct json_template *text; /* NULL: text messages get no answer */
    struct json_template *binary;
    struct json_pointer *actions[ACTIONS];
    bool echo;
    unsigned frames;
    uint64_t every_us;
    char name[];
};

struct canned_session {
    struct upstream_session base;
    struct hub *hub;
    struct list_link answers; /* struct canned_answer, of which frames have yet to come */
};

/* An answer under way. One allocation with its texts. */
struct canned_answer {
    struct list_link link;
    struct timer timer;
    struct canned_session *state;
    const struct json_template *template;
    unsigned sent; /* frames */
    struct str id; /* of the message, as the client wrote it */
    struct str action;
    uint64_t n;
    size_t bytes;
    char texts[];
};

static struct canned_upstream *canned(struct upstream *upstream)
{
    return CONTAINER_OF(upstream, struct canned_upstream, base);
}

/* --- one answer ------------------------------------------------------------------------------------------------ */

/* The sentence up to the end of a word, so that each frame has a like share more. */
static struct str text_so_far(struct str whole, unsigned frame, unsigned frames)
{
    size_t len = whole.len * frame / frames;
    while (len < whole.len && whole.ptr[len] != ' ')
        len++;
    return str_from(whole.ptr, len);
}

static void send_frame(struct canned_answer *answer)
{
    const struct canned_upstream *upstream = canned(answer->state->base.upstream);
    char whole[128], n[24], bytes[24];
    int whole_len = snprintf(whole, sizeof whole, "This is message %llu with %zu bytes, and carillon dev answers it.",
                             (unsigned long long)answer->n, answer->bytes);
    int n_len = snprintf(n, sizeof n, "%llu", (unsigned long long)answer->n);
    int bytes_len = snprintf(bytes, sizeof bytes, "%zu", answer->bytes);
    answer->sent++;
    const struct json_filling fillings[PLACES] = {
        [PLACE_ID] = {answer->id, true},
        [PLACE_ACTION] = {answer->action, true},
        [PLACE_TEXT] = {text_so_far(str_from(whole, (size_t)whole_len), answer->sent, upstream->frames), false},
        [PLACE_N] = {str_from(n, (size_t)n_len), true},
        [PLACE_BYTES] = {str_from(bytes, (size_t)bytes_len), true},
        [PLACE_LAST] = {answer->sent == upstream->frames ? STR("true") : STR("false"), true},
    };
    struct buf frame = {0};
    json_template_write(answer->template, fillings, &frame);
    hub_send(answer->state->hub, answer->state->base.session, false, buf_str(&frame));
    buf_fini(&frame);
}

static void drop_answer(struct canned_answer *answer)
{
    wheel_stop(hub_wheel(answer->state->hub), &answer->timer);
    list_remove(&answer->link);
    answer->state->base.in_flight--;
    free(answer);
}

static void on_time(struct timer *timer, uint64_t now_us);

/* Sends the next frame. After the last one the answer is freed. */
static void go_on(struct canned_answer *answer)
{
    const struct canned_upstream *upstream = canned(answer->state->base.upstream);
    send_frame(answer);
    if (answer->sent < upstream->frames)
        wheel_start(hub_wheel(answer->state->hub), &answer->timer, hub_now_us(answer->state->hub) + upstream->every_us,
                    on_time);
    else
        drop_answer(answer);
}

static void hold_client(struct canned_session *state)
{
    hub_hold_input(state->hub, state->base.session, state->base.in_flight >= ANSWERS_MAX);
}

static void on_time(struct timer *timer, uint64_t now_us)
{
    struct canned_answer *answer = CONTAINER_OF(timer, struct canned_answer, timer);
    struct canned_session *state = answer->state;
    (void)now_us;
    go_on(answer);
    hold_client(state);
}

/* --- struct upstream_ops --------------------------------------------------------------------------------------- */

static struct upstream_session *opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                       struct session_origin *origin)
{
    struct canned_session *state = xcalloc(1, sizeof *state);
    (void)origin;
    upstream_session_begin(&state->base, upstream, session);
    state->hub = hub;
    list_init(&state->answers);
    return &state->base;
}

/* As the client wrote it; empty: the message has none. */
static struct str find_action(const struct canned_upstream *upstream, const struct session_message *message)
{
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = message->bytes.len + 1};
    struct json_value document;
    if (message->binary || json_check(message->bytes, &limits, &document, NULL))
        return STR("");
    for (size_t i = 0; i < ACTIONS; i++) {
        struct json_value found = json_pointer_find(upstream->actions[i], document);
        if (found.type == JSON_STRING)
            return found.raw;
    }
    return STR("");
}

static enum err take(struct upstream_session *base, const struct session_message *message, struct error *error)
{
    struct canned_session *state = CONTAINER_OF(base, struct canned_session, base);
    const struct canned_upstream *upstream = canned(base->upstream);
    const struct json_template *template = message->binary ? upstream->binary : upstream->text;
    (void)error;
    if (upstream->echo)
        hub_send(state->hub, base->session, message->binary, message->bytes);
    if (upstream->echo || !template)
        return ERR_NONE;
    struct str id = message->correlated.id;
    struct str action = find_action(upstream, message);
    struct canned_answer *answer = xcalloc(1, sizeof *answer + id.len + action.len);
    char *at = answer->texts;
    answer->state = state;
    answer->template = template;
    answer->id = str_pack(&at, id);
    answer->action = str_pack(&at, action);
    answer->n = message->sequence;
    answer->bytes = message->bytes.len;
    list_append(&state->answers, &answer->link);
    base->in_flight++;
    go_on(answer);
    hold_client(state);
    return ERR_NONE;
}

static void ended(struct upstream_session *base, int code, struct str reason)
{
    struct canned_session *state = CONTAINER_OF(base, struct canned_session, base);
    (void)reason;
    (void)code;
    LIST_EACH(link, &state->answers)
    drop_answer(CONTAINER_OF(link, struct canned_answer, link));
    upstream_unref(base->upstream);
    free(state);
}

static void destroy(struct upstream *base)
{
    struct canned_upstream *upstream = canned(base);
    json_template_free(upstream->text);
    json_template_free(upstream->binary);
    for (size_t i = 0; i < ACTIONS; i++)
        free(upstream->actions[i]);
    free(upstream);
}

static const struct upstream_ops ops = {.opened = opened, .take = take, .ended = ended, .destroy = destroy};

/* --- settings -------------------------------------------------------------------------------------------------- */

static enum err make_template(struct json_value value, const char *member, struct json_template **out,
                              struct error *error)
{
    struct error found;
    if (!value.type || json_template_create(value.raw, place_names, PLACES, out, &found) == ERR_NONE)
        return ERR_NONE;
    return error_set(error, found.code, "%s: %s", member, found.text);
}

static enum err read_number(struct json_value value, const char *member, uint64_t min, uint64_t max, uint64_t *out,
                            struct error *error)
{
    if (!value.type || (json_u64(value, out) && *out >= min && *out <= max))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "%s: expected a whole number from %llu to %llu", member,
                     (unsigned long long)min, (unsigned long long)max);
}

static enum err read_settings(struct canned_upstream *upstream, struct str settings, struct error *error)
{
    struct json_value document, text = {0}, binary = {0}, echo = {0}, frames = {0}, every = {0};
    const struct json_field fields[] = {{"text", JSON_ANY, false, &text},
                                        {"binary", JSON_ANY, false, &binary},
                                        {"echo", JSON_BOOL, false, &echo},
                                        {"frames", JSON_NUMBER, false, &frames},
                                        {"every_ms", JSON_NUMBER, false, &every}};
    uint64_t count = 1, every_ms = EVERY_MS;
    enum err err = json_check(settings, NULL, &document, error);
    if (err == ERR_NONE)
        err = json_bind(document, "the settings", fields, sizeof fields / sizeof *fields, error);
    if (err == ERR_NONE)
        err = make_template(text, "text", &upstream->text, error);
    if (err == ERR_NONE)
        err = make_template(binary, "binary", &upstream->binary, error);
    if (err == ERR_NONE)
        err = read_number(frames, "frames", 1, FRAMES_MAX, &count, error);
    if (err == ERR_NONE)
        err = read_number(every, "every_ms", EVERY_MS_MIN, EVERY_MS_MAX, &every_ms, error);
    for (size_t i = 0; i < ACTIONS && err == ERR_NONE; i++)
        err = json_pointer_create(str_from_cstr(action_pointers[i]), &upstream->actions[i], error);
    upstream->echo = str_eq(echo.raw, STR("true"));
    upstream->frames = (unsigned)count;
    upstream->every_us = every_ms * 1000;
    return err;
}

enum err canned_upstream_create(struct str name, struct str settings, struct upstream **out, struct error *error)
{
    struct canned_upstream *upstream = xcalloc(1, sizeof *upstream + name.len);
    char *at = upstream->name;
    upstream_init(&upstream->base, &ops, str_pack(&at, name));
    enum err err = read_settings(upstream, settings, error);
    if (err != ERR_NONE)
        destroy(&upstream->base);
    *out = err == ERR_NONE ? &upstream->base : NULL;
    return err;
}
