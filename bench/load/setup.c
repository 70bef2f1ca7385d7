/* setup.c - see setup.h. */
#include "bench/load/setup.h"

#include <arpa/inet.h>

#include "common/base/alloc.h"
#include "server/cli/cli.h"

#define SECRET_ENV "CARILLON_TOKEN_SECRET"

enum { KEY_FILE_MAX = 64 * 1024, TICKET_FILE_MAX = 64 * 1024 * 1024, SOURCES_MAX = 250 };

static enum err choose(struct run_settings *settings, const struct flags *flags, struct error *error)
{
    const char *protocol = flags->given[FLAG_PROTOCOL] ? flags->text[FLAG_PROTOCOL] : "carillon";
    const char *over = flags->text[FLAG_PUBLISH_OVER];
    settings->dialect = dialect_find(protocol);
    if (!settings->dialect)
        return error_set(error, ERR_INVALID_REQUEST, "there is no protocol \"%s\"", protocol);
    settings->transport = settings->dialect->usual;
    if (over) {
        unsigned i = 0;
        while (i < TRANSPORT_COUNT && strcmp(over, transport_names[i]) != 0)
            i++;
        if (i == TRANSPORT_COUNT)
            return error_set(error, ERR_INVALID_REQUEST,
                             "--publish-over should be http, websocket or redis, not \"%s\"", over);
        settings->transport = (enum transport)i;
    }
    if (!(settings->dialect->transports & 1U << settings->transport))
        return error_set(error, ERR_INVALID_REQUEST, "%s has no publishing over %s", protocol, over);
    return ERR_NONE;
}

/* Checks options against each other. */
static enum err check(const struct run_settings *settings, const struct flags *flags, struct error *error)
{
    const struct bench_dialect *dialect = settings->dialect;
    bool is_publish = flags->scenario->run == scenario_publish;
    const char *wrong = NULL;
    if (flags->given[FLAG_EVENT_COUNT] && flags->given[FLAG_DURATION])
        wrong = "give --duration or --count, not both";
    else if (flags->given[FLAG_RATE] && flags->given[FLAG_WINDOW])
        wrong = "give --rate (open loop) or --window (closed loop), not both";
    else if (flags->given[FLAG_CONNECTIONS] && flags->scenario->takes & ROOMS)
        wrong = "rooms has --channels and --members, not --connections";
    else if (settings->batch > 1 && (!dialect->batch_path || settings->transport != TRANSPORT_HTTP))
        wrong = "--batch is for carillon over HTTP";
    else if (settings->transport == TRANSPORT_REDIS && !flags->given[FLAG_REDIS])
        wrong = "--publish-over redis needs --redis";
    else if (settings->transport != TRANSPORT_REDIS && flags->given[FLAG_REDIS])
        wrong = "--redis is for --publish-over redis";
    else if (is_publish && settings->transport == TRANSPORT_WEBSOCKET && !dialect->accepts_aloud)
        wrong = "this protocol does not answer what is published over WebSocket, so there is nothing to time";
    else if (flags->scenario->takes & RECOVERING && !dialect->has_since)
        wrong = "recover is for the carillon protocol";
    else if (flags->scenario->run == scenario_echo && !dialect->has_echo)
        wrong = "echo is for the carillon protocol";
    else if (flags->given[FLAG_ANSWERS] && strcmp(flags->text[FLAG_ANSWERS], "no") == 0 && !flags->given[FLAG_RATE])
        wrong = "--answers no needs a --rate: nothing says when the next message may go";
    else if (flags->scenario->takes & SLOW && settings->connections * settings->slow_percent < 100)
        wrong = "--slow-percent of --connections is not one";
    else if (flags->scenario->takes & RECOVERING && flags->given[FLAG_CHANNELS] &&
             flags->number[FLAG_CHANNELS] > settings->connections)
        wrong = "recover needs as many --connections as --channels, or more";
    else if (flags->given[FLAG_EVENT_COUNT] && flags->scenario->takes & (DOOR | WAITING | RECOVERING))
        wrong = "--count is for scenarios that repeat something";
    else if (settings->first_bytes && settings->first_bytes < settings->data_bytes)
        wrong = "--first-size should not be less than --size";
    else if (settings->channel.len == 0)
        wrong = "--channel should not be empty";
    return wrong ? error_set(error, ERR_INVALID_REQUEST, "%s", wrong) : ERR_NONE;
}

static void take_numbers(struct run_settings *settings, const struct flags *flags)
{
    const uint64_t *number = flags->number;
    settings->connections =
        flags->given[FLAG_CONNECTIONS] ? (size_t)number[FLAG_CONNECTIONS] : flags->scenario->connections;
    if (flags->scenario->takes & ROOMS)
        settings->connections = (size_t)(number[FLAG_CHANNELS] * number[FLAG_MEMBERS]);
    settings->threads = (size_t)number[FLAG_THREADS];
    settings->window = (size_t)number[FLAG_WINDOW];
    settings->rate = number[FLAG_RATE];
    settings->has_counts = flags->given[FLAG_HISTOGRAM];
    settings->publishers = (size_t)number[FLAG_PUBLISHERS];
    settings->batch = (size_t)number[FLAG_BATCH];
    settings->data_bytes = (size_t)number[FLAG_SIZE];
    settings->first_bytes = (size_t)number[FLAG_FIRST_SIZE];
    settings->at_once = (size_t)number[FLAG_AT_ONCE];
    settings->measure_us = number[FLAG_DURATION] * 1000000;
    settings->count = number[FLAG_EVENT_COUNT];
    settings->warmup_us = number[FLAG_WARMUP] * 1000000;
    settings->patience_us = number[FLAG_PATIENCE] * 1000000;
    settings->slow_percent = (size_t)number[FLAG_SLOW_PERCENT];
    settings->missed = number[FLAG_MISSED];
    settings->seed = number[FLAG_SEED];
    settings->channel = flags->scenario->takes & RECOVERING ? STR("bench:log") : STR("bench:load");
    if (flags->given[FLAG_CHANNEL])
        settings->channel = str_from_cstr(flags->text[FLAG_CHANNEL]);
    settings->server_count = flags->server_count;
    memcpy(settings->servers, flags->servers, sizeof flags->servers);
}

/* True for the first word, which is the default; false for the second. */
static enum err take_word(const struct flags *flags, enum flag flag, const char *first, const char *second, bool *out,
                          struct error *error)
{
    const char *word = flags->given[flag] ? flags->text[flag] : first;
    *out = strcmp(word, first) == 0;
    if (!*out && strcmp(word, second) != 0)
        return error_set(error, ERR_INVALID_REQUEST, "\"%s\" should be %s or %s", word, first, second);
    return ERR_NONE;
}

static void name_channels(struct setup *setup, const struct flags *flags)
{
    struct run_settings *settings = &setup->settings;
    bool many = flags->scenario->takes & ROOMS || flags->given[FLAG_CHANNELS];
    size_t count = many ? (size_t)flags->number[FLAG_CHANNELS] : 1;
    size_t start = 0;
    setup->channels = xcalloc(count, sizeof *setup->channels);
    for (size_t i = 0; i < count; i++) {
        buf_append(&setup->names, settings->channel);
        if (many)
            buf_appendf(&setup->names, ":%zu", i);
        setup->channels[i].len = setup->names.len - start;
        start = setup->names.len;
    }
    start = 0; /* the names have stopped moving */
    for (size_t i = 0; i < count; i++) {
        setup->channels[i].ptr = setup->names.ptr + start;
        start += setup->channels[i].len;
    }
    settings->channels = setup->channels;
    settings->channel_count = count;
}

/* "127.0.0.2,127.0.0.3", or a number. */
static enum err take_sources(struct loop_addresses *addresses, const char *text, struct error *error)
{
    uint64_t count;
    struct str rest = str_from_cstr(text);
    addresses->items = xcalloc(SOURCES_MAX, sizeof *addresses->items);
    if (str_to_u64(rest, &count)) {
        if (count < 1 || count > SOURCES_MAX)
            return error_set(error, ERR_INVALID_REQUEST, "--sources should be 1 to %d addresses", SOURCES_MAX);
        for (addresses->count = 0; addresses->count < count; addresses->count++)
            addresses->items[addresses->count].s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)addresses->count);
        return ERR_NONE;
    }
    while (rest.ptr) {
        char *address = str_dup(str_split(&rest, ','));
        bool good =
            addresses->count < SOURCES_MAX && inet_pton(AF_INET, address, &addresses->items[addresses->count++]) == 1;
        free(address);
        if (!good)
            return error_set(error, ERR_INVALID_REQUEST,
                             "--sources should be up to %d IPv4 addresses with commas between, or how many, not \"%s\"",
                             SOURCES_MAX, text);
    }
    return ERR_NONE;
}

static struct str without_newline(struct str text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return text;
}

/* As `carillon token` reads them. */
static enum err read_keys(struct setup *setup, const struct flags *flags, struct error *error)
{
    struct token_keys *keys = setup->keys = token_keys_create();
    const char *key_path = flags->text[FLAG_TOKEN_KEY], *secret_path = flags->text[FLAG_SECRET_FILE];
    const char *env = getenv(SECRET_ENV);
    struct buf file = {0};
    enum err err = ERR_NONE;
    setup->settings.keys = keys;
    if (key_path && secret_path)
        return error_set(error, ERR_INVALID_REQUEST, "give --token-key or --secret-file, not both");
    if (key_path || secret_path)
        err = cli_read_file(key_path ? key_path : secret_path, KEY_FILE_MAX, &file, error);
    if (!err && key_path)
        err = token_keys_add_file_text(keys, key_path, STR(""), 0, buf_str(&file), error);
    else if (!err && secret_path)
        err = token_keys_add_secret(keys, secret_path, STR(""), 0, without_newline(buf_str(&file)), error);
    else if (!err && env && *env)
        err = token_keys_add_secret(keys, SECRET_ENV, STR(""), 0, str_from_cstr(env), error);
    else if (!err)
        err = error_set(error, ERR_INVALID_REQUEST,
                        "the clients need tokens: give --secret-file or --token-key, or " SECRET_ENV
                        " in the environment");
    if (file.ptr)
        explicit_bzero(file.ptr, file.len);
    buf_fini(&file);
    return err;
}

static enum err read_tickets(struct setup *setup, const struct flags *flags, struct error *error)
{
    size_t count = setup->settings.connections, found = 0;
    enum err err = cli_read_file(flags->text[FLAG_TICKETS], TICKET_FILE_MAX, &setup->ticket_file, error);
    if (err)
        return err;
    setup->settings.tickets = setup->tickets = xcalloc(count, sizeof *setup->tickets);
    for (struct str rest = buf_str(&setup->ticket_file); rest.len && found < count; found++)
        setup->tickets[found] = str_split(&rest, '\n');
    if (found < count)
        return error_set(error, ERR_INVALID_REQUEST, "--tickets has %zu lines for %zu --connections", found, count);
    return ERR_NONE;
}

static enum err resolve(struct setup *setup, const struct flags *flags, struct error *error)
{
    const char *url = flags->given[FLAG_URL] ? flags->text[FLAG_URL] : "ws://127.0.0.1:8080";
    const char *api = flags->given[FLAG_API] ? flags->text[FLAG_API] : "http://127.0.0.1:8081";
    enum err err = loop_resolve(url, "ws", &setup->clients, error);
    if (!err)
        err = loop_resolve(api, "http", &setup->api, error);
    if (!err && flags->given[FLAG_REDIS])
        err = loop_resolve(flags->text[FLAG_REDIS], "redis", &setup->redis, error);
    if (!err && flags->given[FLAG_REDIS] && setup->redis.url.authority.len == setup->redis.url.host.len)
        err = error_set(error, ERR_INVALID_REQUEST, "--redis should be redis://HOST:PORT, with the port");
    if (!err && setup->addresses.count > 0 && setup->clients.address.ss_family != AF_INET)
        err = error_set(error, ERR_INVALID_REQUEST, "--sources are IPv4 addresses, so --url should have one, too");
    return err;
}

enum err setup_make(struct setup *setup, const struct flags *flags, struct error *error)
{
    struct run_settings *settings = &setup->settings;
    const struct cli_secret api_key = {
        .name = "API key", .env = "CARILLON_API_KEY", .path = flags->text[FLAG_API_KEY_FILE]};
    bool at_random = true, is_text = true;
    *setup = (struct setup){0};
    take_numbers(settings, flags);
    enum err err = choose(settings, flags, error);
    if (!err)
        err = check(settings, flags, error);
    if (!err)
        err = take_word(flags, FLAG_ORDER, "random", "round-robin", &at_random, error);
    if (!err)
        err = take_word(flags, FLAG_SUBSCRIBE, "yes", "no", &settings->subscribes, error);
    if (!err)
        err = take_word(flags, FLAG_ANSWERS, "yes", "no", &settings->answered, error);
    if (!err)
        err = take_word(flags, FLAG_KIND, "text", "binary", &is_text, error);
    settings->binary = !is_text;
    settings->in_turn = !at_random;
    name_channels(setup, flags);
    if (!err && flags->given[FLAG_SOURCES])
        err = take_sources(&setup->addresses, flags->text[FLAG_SOURCES], error);
    if (!err)
        err = resolve(setup, flags, error);
    if (!err)
        err = cli_read_secret(&api_key, &setup->api_key, error);
    settings->api_key = buf_str(&setup->api_key);
    if (!err && flags->given[FLAG_TICKETS])
        return read_tickets(setup, flags, error);
    bool has_clients = flags->scenario->takes & CLIENTS || settings->transport == TRANSPORT_WEBSOCKET;
    if (!err && has_clients && settings->dialect->has_tokens)
        err = read_keys(setup, flags, error);
    return err;
}

void setup_fini(struct setup *setup)
{
    token_keys_unref(setup->keys);
    free(setup->channels);
    free(setup->tickets);
    buf_fini(&setup->ticket_file);
    free(setup->addresses.items);
    buf_fini(&setup->names);
    buf_fini(&setup->api_key);
}
