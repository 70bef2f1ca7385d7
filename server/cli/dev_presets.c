/* dev_presets.c - see dev_presets.h. */
#include "server/cli/dev_presets.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "server/app/options_check.h"

/* The endpoints are at the paths that clients of the shape use. %s stands for the list of subprotocols. */
static const struct dev_shape {
    const char *name;
    const char *endpoints;
    const char *upstream; /* its name; NULL: the shape has none */
    const char *settings; /* of the upstream, as a backend's options */
    const char *text;     /* templates of the answers; NULL: messages of this kind get none */
    const char *binary;
} shapes[DEV_SHAPES] = {
    {.name = "events",
     .endpoints = "{\"preset\":\"events\",\"path\":\"/ws\"},{\"preset\":\"events\",\"path\":\"/api/ws\"}"},
    {.name = "request-response",
     .endpoints = "{\"preset\":\"request-response\",\"path\":\"/\",\"subprotocols\":[%s],\"upstream\":\"answers\","
                  "\"query\":[\"traceId\"],\"token_single_use\":false}",
     .upstream = "answers",
     .settings = "",
     .text = "{\"headers\":{\"correlationId\":\"{id}\",\"action\":\"{action}\"},\"payload\":{\"text\":\"{text}\"}}"},
    {.name = "ticket-sockets",
     .endpoints =
         "{\"preset\":\"ticket-sockets\",\"path\":\"/ai-chat/{thread}/transcript\",\"subscribe\":[\"thread:{thread}\"],"
         "\"ticket\":{\"purpose\":\"chat\",\"resource\":\"{thread}\"}},"
         "{\"preset\":\"ticket-sockets\",\"path\":\"/white-label/{workspace}/transcript/{id}\","
         "\"subscribe\":[\"transcript:{workspace}:{id}\"],\"ticket\":{\"purpose\":\"transcript\",\"resource\":\"{id}\"}"
         "},"
         "{\"preset\":\"ticket-sockets\",\"path\":\"/notifications\",\"subscribe\":[\"user:{sub}\"]}"},
    {.name = "streaming",
     .endpoints = "{\"preset\":\"streaming\",\"path\":\"/ws/transcribe\",\"upstream\":\"transcriber\","
                  "\"require_claims\":[\"sub\",\"iat\",\"exp\",\"scope\",\"user_type\"],"
                  "\"require_scopes\":[\"transcription:read\",\"transcription:write\"]}",
     .upstream = "transcriber",
     .settings = ",\"order\":\"session\",\"join\":{\"max_bytes\":\"64k\"}",
     .binary = "{\"type\":\"transcription\",\"text\":\"{text}\",\"sequence\":\"{n}\",\"is_final\":\"{last}\"}"},
};

enum { SHAPE_REQUESTS = 1, SHAPE_TICKETS, SHAPE_STREAMING };

/* --- flags ----------------------------------------------------------------------------------------------------- */

enum dev_flag { FLAG_PRESET, FLAG_ANSWER, FLAG_FRAMES, FLAG_EVERY, FLAG_SUBPROTOCOL, FLAG_BACKEND, FLAGS };
static const char *const flags[FLAGS] = {"--preset", "--answer", "--frames", "--every", "--subprotocol", "--backend"};

static enum err want_shapes(struct dev_presets *presets, const char *names, struct error *error)
{
    struct str rest = str_from_cstr(names);
    char quoted[ERROR_QUOTE_LEN];
    while (rest.ptr) {
        struct str name = str_split(&rest, ',');
        bool known = false;
        for (size_t i = 0; i < DEV_SHAPES; i++)
            if (str_eq_cstr(name, shapes[i].name) || str_eq(name, STR("all")))
                known = presets->wanted[i] = true;
        if (!known)
            return error_set(error, ERR_INVALID_REQUEST,
                             "--preset %s: expected events, request-response, ticket-sockets, streaming or all",
                             error_quote(name, quoted));
    }
    return ERR_NONE;
}

static enum err want_answer(struct dev_presets *presets, const char *word, struct error *error)
{
    struct json_value value;
    struct error found;
    presets->answer = word;
    if (strcmp(word, "echo") == 0 || json_check(str_from_cstr(word), NULL, &value, &found) == ERR_NONE)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "--answer: expected echo or JSON: %s", found.text);
}

static enum err want_number(const char *flag, const char *word, const char *unit, unsigned long max, unsigned long *out,
                            struct error *error)
{
    char *end;
    *out = *word >= '0' && *word <= '9' ? strtoul(word, &end, 10) : 0;
    if (*out > 0 && *out <= max && strcmp(end, unit) == 0)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "%s: expected 1%s to %lu%s", flag, unit, max, unit);
}

static enum err want_subprotocol(struct dev_presets *presets, const char *word, struct error *error)
{
    if (presets->subprotocol_count == DEV_SUBPROTOCOLS_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "--subprotocol: at most %d of them", DEV_SUBPROTOCOLS_MAX);
    presets->subprotocols[presets->subprotocol_count++] = word;
    return ERR_NONE;
}

static enum err take_flag(struct dev_presets *presets, enum dev_flag flag, const char *word, struct error *error)
{
    switch (flag) {
    case FLAG_PRESET: return want_shapes(presets, word, error);
    case FLAG_ANSWER: return want_answer(presets, word, error);
    case FLAG_FRAMES: return want_number(flags[flag], word, "", 100, &presets->frames, error);
    case FLAG_EVERY: return want_number(flags[flag], word, "ms", 60000, &presets->every_ms, error);
    case FLAG_SUBPROTOCOL: return want_subprotocol(presets, word, error);
    default: presets->backend = word; return ERR_NONE;
    }
}

/* The number of the flag that the word is, with its value behind '=' or NULL. Below 0: it is none. */
static int find_flag(char *word, const char **out_value)
{
    for (int i = 0; i < FLAGS; i++) {
        size_t len = strlen(flags[i]);
        if (strncmp(word, flags[i], len) != 0 || (word[len] && word[len] != '='))
            continue;
        *out_value = word[len] ? word + len + 1 : NULL;
        return i;
    }
    return -1;
}

static bool any_wanted(const struct dev_presets *presets)
{
    for (size_t i = 0; i < DEV_SHAPES; i++)
        if (presets->wanted[i])
            return true;
    return false;
}

/* A flag that would do nothing is a mistake. */
static enum err check_given(const struct dev_presets *presets, const bool *given, struct error *error)
{
    bool answers = presets->wanted[SHAPE_REQUESTS] || presets->wanted[SHAPE_STREAMING];
    for (size_t i = FLAG_ANSWER; i < FLAGS; i++) {
        if (!given[i])
            continue;
        if (i == FLAG_SUBPROTOCOL ? !presets->wanted[SHAPE_REQUESTS] : !answers)
            return error_set(error, ERR_INVALID_REQUEST, "%s does nothing without --preset request-response%s",
                             flags[i], i == FLAG_SUBPROTOCOL ? "" : " or streaming");
        if (presets->backend && i != FLAG_BACKEND && i != FLAG_SUBPROTOCOL)
            return error_set(error, ERR_INVALID_REQUEST, "%s does nothing with --backend: the backend answers",
                             flags[i]);
    }
    return ERR_NONE;
}

enum err dev_presets_parse(struct dev_presets *presets, int argc, char **argv, struct error *error)
{
    bool given[FLAGS] = {false};
    enum err err = ERR_NONE;
    *presets = (struct dev_presets){.frames = 1, .every_ms = 500};
    presets->argv = xcalloc((size_t)argc + 1, sizeof *presets->argv);
    for (int i = 0; i < argc && err == ERR_NONE; i++) {
        const char *value = NULL;
        int flag = i == 0 ? -1 : find_flag(argv[i], &value);
        if (flag < 0) {
            presets->argv[presets->argc++] = argv[i];
            continue;
        }
        given[flag] = true;
        if (!value && !(value = argv[++i]))
            return error_set(error, ERR_INVALID_REQUEST, "%s: its value is missing", flags[flag]);
        err = take_flag(presets, (enum dev_flag)flag, value, error);
    }
    return err ? err : check_given(presets, given, error);
}

/* --- presets of options ---------------------------------------------------------------------------------------- */

static void write_subprotocols(const struct dev_presets *presets, struct buf *out)
{
    if (presets->subprotocol_count == 0)
        buf_append_lit(out, "\"app-v1\"");
    for (size_t i = 0; i < presets->subprotocol_count; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        json_append_string(out, str_from_cstr(presets->subprotocols[i]));
    }
}

static void write_endpoints(const struct dev_shape *shape, struct str subprotocols, struct buf *out)
{
    const char *place = strstr(shape->endpoints, "%s");
    if (out->len > 1)
        buf_append_char(out, ',');
    buf_append(out, place ? str_from(shape->endpoints, (size_t)(place - shape->endpoints))
                          : str_from_cstr(shape->endpoints));
    if (place) {
        buf_append(out, subprotocols);
        buf_append(out, str_from_cstr(place + 2));
    }
}

/* The settings of the upstream inside the server (server/upstream/canned_upstream.h). */
static void write_canned(const struct dev_presets *presets, const struct dev_shape *shape, struct buf *out)
{
    bool echo = presets->answer && strcmp(presets->answer, "echo") == 0;
    const char *text = presets->answer && shape->text ? presets->answer : shape->text;
    const char *binary = presets->answer && shape->binary ? presets->answer : shape->binary;
    buf_appendf(out, "{\"frames\":%lu,\"every_ms\":%lu", presets->frames, presets->every_ms);
    if (echo)
        buf_append_lit(out, ",\"echo\":true");
    if (!echo && text)
        buf_appendf(out, ",\"text\":%s", text);
    if (!echo && binary)
        buf_appendf(out, ",\"binary\":%s", binary);
    buf_append_char(out, '}');
}

static void write_upstream(const struct dev_presets *presets, const struct dev_shape *shape, struct buf *out)
{
    struct buf url = {0};
    if (presets->backend) {
        buf_append(&url, str_from_cstr(presets->backend));
    } else {
        buf_append_lit(&url, UPSTREAM_DEV_SCHEME);
        write_canned(presets, shape, &url);
    }
    if (out->len > 1)
        buf_append_char(out, ',');
    buf_appendf(out, "\"%s\":{\"url\":", shape->upstream);
    json_append_string(out, buf_str(&url));
    buf_appendf(out, "%s}", presets->backend ? shape->settings : "");
    buf_fini(&url);
}

/* Clients of these sockets know no joins and leaves. */
static const char ticket_channels[] =
    "[{\"match\":\"thread:*\"," DEV_RULE_QUIET "},{\"match\":\"transcript:*\"," DEV_RULE_QUIET
    "},{\"match\":\"user:*\"," DEV_RULE_QUIET "},{\"match\":\"*\"," DEV_RULE "}]";

size_t dev_presets_options(struct dev_presets *presets, struct option_preset *out)
{
    struct buf subprotocols = {0};
    size_t count = 0;
    if (!any_wanted(presets))
        return 0;
    write_subprotocols(presets, &subprotocols);
    buf_append_char(&presets->endpoints, '[');
    buf_append_char(&presets->upstreams, '{');
    for (size_t i = 0; i < DEV_SHAPES; i++) {
        if (!presets->wanted[i])
            continue;
        write_endpoints(&shapes[i], buf_str(&subprotocols), &presets->endpoints);
        if (shapes[i].upstream)
            write_upstream(presets, &shapes[i], &presets->upstreams);
    }
    buf_append_char(&presets->endpoints, ']');
    buf_append_char(&presets->upstreams, '}');
    buf_fini(&subprotocols);
    out[count++] = (struct option_preset){"endpoints", buf_cstr(&presets->endpoints), true};
    out[count++] = (struct option_preset){"upstreams", buf_cstr(&presets->upstreams), true};
    if (presets->wanted[SHAPE_TICKETS]) {
        out[count++] = (struct option_preset){"channels", ticket_channels, false};
        out[count++] = (struct option_preset){"tickets.path", "/websocket/ticket", true};
        out[count++] = (struct option_preset){"tickets.use", "resume", true};
    }
    return count;
}

void dev_presets_fini(struct dev_presets *presets)
{
    free(presets->argv);
    buf_fini(&presets->endpoints);
    buf_fini(&presets->upstreams);
}
