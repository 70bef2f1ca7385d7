/* redis.c - see redis.h. */
#include "tests/sim/redis.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "tests/sim/world.h"

enum { ARGUMENTS_MAX = 1024 };

struct redis_client {
    struct list_link link; /* in redis.clients */
    struct wire *wire;
    uint64_t number;
    struct buf in;
    struct map channels; /* subscribed: name -> the name's copy */
    uint64_t blocked;    /* it waits with XREAD: a number that no other wait has; 0: it does not */
    char stream[64];     /* for entries of this stream */
    char after[48];      /* after that one */
};

static struct redis {
    struct store store;
    struct store copy;
    struct list_link clients;
    void (*published)(struct str channel, struct str message);
    void (*refused)(struct str key);
    size_t output_max;
    uint64_t blocks;
} redis;

struct store *redis_store(void)
{
    return &redis.store;
}

bool redis_is_subscriber(const struct redis_client *client)
{
    return client->channels.count > 0;
}

const struct wire *redis_wire(const struct redis_client *client)
{
    return client->wire;
}

/* ---- pub/sub ---- */

static size_t publish(struct str channel, struct str message)
{
    size_t count = 0;
    redis.published(channel, message);
    LIST_EACH(link, &redis.clients)
    {
        struct redis_client *client = CONTAINER_OF(link, struct redis_client, link);
        if (!map_get(&client->channels, channel))
            continue;
        struct buf out = {0};
        resp_array(&out, 3);
        resp_text(&out, STR("message"));
        resp_text(&out, channel);
        resp_text(&out, message);
        network_answer(client->wire, buf_str(&out));
        buf_fini(&out);
        count++;
        if (network_unsent(client->wire) > redis.output_max) {
            world_trace("redis: client %llu reads too slowly", (unsigned long long)client->number);
            network_cut(client->wire);
        }
    }
    return count;
}

static size_t listeners(struct str channel)
{
    size_t count = 0;
    LIST_EACH(link, &redis.clients)
    count += map_get(&CONTAINER_OF(link, struct redis_client, link)->channels, channel) != NULL;
    return count;
}

/* SUBSCRIBE and UNSUBSCRIBE of named channels. */
static void subscribe(struct redis_client *client, size_t argc, const struct str *argv, bool more)
{
    struct buf out = {0};
    for (size_t i = 1; i < argc; i++) {
        char *name = map_get(&client->channels, argv[i]);
        if (more && !name) {
            name = str_dup(argv[i]);
            map_put(&client->channels, str_from(name, argv[i].len), name);
        } else if (!more && name) {
            map_remove(&client->channels, argv[i]);
            free(name);
        }
        resp_array(&out, 3);
        resp_text(&out, more ? STR("subscribe") : STR("unsubscribe"));
        resp_text(&out, argv[i]);
        resp_number(&out, (int64_t)client->channels.count);
    }
    network_answer(client->wire, buf_str(&out));
    buf_fini(&out);
}

/* ---- commands ---- */

static void run_script(size_t argc, const struct str *argv, struct store_call *call)
{
    uint64_t key_count;
    char hash[41];
    struct str name = argv[1];
    if (argc < 3 || !str_to_u64(argv[2], &key_count) || key_count > argc - 3) {
        resp_error(call->out, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (str_eq_nocase(argv[0], STR("EVAL"))) {
        scripts_load(argv[1], hash);
        name = str_from(hash, 40);
    }
    if (redis.store.loading)
        resp_error(call->out, "LOADING Redis is loading the dataset in memory");
    else if (!scripts_knows(name))
        resp_error(call->out, "NOSCRIPT No matching script. Please use EVAL.");
    else
        scripts_run(name, argv + 3, key_count, argv + 3 + key_count, argc - 3 - key_count, call);
}

/* All but what concerns subscriptions. */
static void execute(size_t argc, const struct str *argv, struct buf *out)
{
    struct store_call call = {.store = &redis.store,
                              .now_ms = world_wall_ms(),
                              .argc = argc,
                              .argv = argv,
                              .out = out,
                              .publish = publish,
                              .refused = redis.refused,
                              .listeners = listeners};
    char hash[41];
    struct str name = argv[0];
    if (str_eq_nocase(name, STR("SCRIPT")) && argc == 3) {
        scripts_load(argv[2], hash);
        resp_text(out, str_from(hash, 40));
    } else if (str_eq_nocase(name, STR("EVAL")) || str_eq_nocase(name, STR("EVALSHA"))) {
        run_script(argc, argv, &call);
    } else if (str_eq_nocase(name, STR("CLIENT")) || str_eq_nocase(name, STR("AUTH")) ||
               str_eq_nocase(name, STR("SELECT"))) {
        resp_status(out, "OK");
    } else if (str_eq_nocase(name, STR("PING"))) {
        resp_status(out, "PONG");
    } else if (!store_run(&call)) {
        world_fail("the model Redis has no command %.*s", STR_ARG(name));
        resp_error(out, "ERR unknown command");
    }
}

static void block(struct redis_client *client, const struct str *argv);
static void serve_blocked(void);

static void run(struct redis_client *client, size_t argc, const struct str *argv)
{
    struct buf out = {0};
    struct str name = argv[0], first = argc > 3 ? argv[3] : argc > 1 ? argv[1] : STR("");
    world_trace("redis: client %llu %.*s %.*s", (unsigned long long)client->number, STR_ARG(name),
                first.len < 80 ? (int)first.len : 0, first.ptr);
    if (str_eq_nocase(name, STR("SUBSCRIBE")) || str_eq_nocase(name, STR("UNSUBSCRIBE"))) {
        subscribe(client, argc, argv, name.ptr[0] == 'S' || name.ptr[0] == 's');
        return;
    }
    if (str_eq_nocase(name, STR("XREAD"))) {
        block(client, argv);
        return;
    }
    execute(argc, argv, &out);
    if (str_eq_nocase(name, STR("XADD")))
        serve_blocked();
    /* The client may have been cut by its own PUBLISH. */
    if (client->wire)
        network_answer(client->wire, buf_str(&out));
    buf_fini(&out);
}

/* ---- waiting for entries ---- */

static void receive_more(struct redis_client *client);

/* The entry that it waits for, if it is there. */
static bool answer_blocked(struct redis_client *client)
{
    struct buf out = {0};
    const struct str argv[] = {STR("XREAD"),
                               STR("COUNT"),
                               STR("1"),
                               STR("STREAMS"),
                               str_from_cstr(client->stream),
                               str_from_cstr(client->after)};
    execute(6, argv, &out);
    bool answered = !str_eq(buf_str(&out), STR("*-1\r\n"));
    if (answered) {
        client->blocked = 0;
        network_answer(client->wire, buf_str(&out));
    }
    buf_fini(&out);
    return answered;
}

/* Entries have been added. */
static void serve_blocked(void)
{
    LIST_EACH(link, &redis.clients)
    {
        struct redis_client *client = CONTAINER_OF(link, struct redis_client, link);
        if (client->blocked && client->wire && answer_blocked(client))
            receive_more(client);
    }
}

static void end_block(void *owner, uint64_t number)
{
    LIST_EACH(link, &redis.clients)
    {
        struct redis_client *client = CONTAINER_OF(link, struct redis_client, link);
        if (client->blocked != number || !client->wire)
            continue;
        client->blocked = 0;
        network_answer(client->wire, STR("*-1\r\n"));
        receive_more(client);
        return;
    }
}

/* XREAD COUNT 1 BLOCK ms STREAMS key id. */
static void block(struct redis_client *client, const struct str *argv)
{
    uint64_t ms;
    client->blocked = ++redis.blocks;
    snprintf(client->stream, sizeof client->stream, "%.*s", STR_ARG(argv[6]));
    snprintf(client->after, sizeof client->after, "%.*s", STR_ARG(argv[7]));
    if (!answer_blocked(client) && str_to_u64(argv[4], &ms))
        world_at(world_now_us() + ms * 1000, end_block, NULL, client->blocked);
}

/* One line "X<number>\r\n" at *at. False if it is not whole yet. */
static bool take_count(struct str bytes, size_t *at, uint64_t *out)
{
    const char *end = memchr(bytes.ptr + *at, '\n', bytes.len - *at);
    if (!end || !str_to_u64(str_from(bytes.ptr + *at + 1, (size_t)(end - bytes.ptr) - *at - 2), out))
        return false;
    *at = (size_t)(end - bytes.ptr) + 1;
    return true;
}

/* Reads one command. 0: not whole yet; else its length. */
static size_t parse(struct str bytes, struct str argv[ARGUMENTS_MAX], size_t *out_argc)
{
    size_t at = 0;
    uint64_t argc, len;
    if (bytes.len == 0 || !take_count(bytes, &at, &argc))
        return 0;
    for (uint64_t i = 0; i < argc; i++) {
        if (at >= bytes.len || !take_count(bytes, &at, &len) || bytes.len - at < len + 2)
            return 0;
        argv[i] = str_from(bytes.ptr + at, len);
        at += len + 2;
    }
    *out_argc = argc;
    return at;
}

void redis_receive(struct redis_client *client, struct str bytes)
{
    buf_append(&client->in, bytes);
    receive_more(client);
}

/* Carries out the commands that the client has sent, until one of them waits. */
static void receive_more(struct redis_client *client)
{
    struct str argv[ARGUMENTS_MAX]; /* not one for all: a command of one client may let another one go on */
    size_t argc, used, len;
    struct buf in = client->in; /* the client may go meanwhile */
    client->in = (struct buf){0};
    for (used = 0;
         client->wire && !client->blocked && (len = parse(str_from(in.ptr + used, in.len - used), argv, &argc));
         used += len)
        run(client, argc, argv);
    buf_consume(&in, used);
    if (client->wire)
        client->in = in;
    else
        buf_fini(&in);
}

void redis_talk(struct str bytes, struct buf *out)
{
    static struct str argv[ARGUMENTS_MAX];
    size_t argc, len;
    for (size_t at = 0; (len = parse(str_from(bytes.ptr + at, bytes.len - at), argv, &argc)); at += len)
        execute(argc, argv, out);
    serve_blocked();
}

/* ---- clients ---- */

struct redis_client *redis_accept(struct wire *wire, uint64_t number)
{
    struct redis_client *client = xcalloc(1, sizeof *client);
    client->wire = wire;
    client->number = number;
    list_append(&redis.clients, &client->link);
    return client;
}

static void forget_channels(struct redis_client *client)
{
    size_t cursor = 0;
    for (char *name; (name = map_next(&client->channels, &cursor));)
        free(name);
    map_fini(&client->channels);
    client->channels = (struct map){0};
}

/* Its memory stays until nobody can be in the middle of one of its commands. */
static void free_client(void *owner, uint64_t number)
{
    struct redis_client *client = owner;
    list_remove(&client->link);
    buf_fini(&client->in);
    free(client);
}

static struct list_link gone;

void redis_hang_up(struct redis_client *client)
{
    client->wire = NULL;
    forget_channels(client);
    list_remove(&client->link);
    list_append(&gone, &client->link);
    world_at(world_now_us(), free_client, client, 0);
}

/* ---- faults ---- */

void redis_forget_scripts(void)
{
    scripts_forget();
}

void redis_limit_output(size_t bytes)
{
    redis.output_max = bytes;
}

void redis_take_copy(void)
{
    store_clear(&redis.copy);
    store_copy(&redis.copy, &redis.store);
}

void redis_use_copy(void)
{
    store_clear(&redis.store);
    store_copy(&redis.store, &redis.copy);
    redis_forget_scripts();
}

void redis_lose_all(void)
{
    store_clear(&redis.store);
    redis_forget_scripts();
    redis_take_copy();
}

void redis_flush(void)
{
    const struct store before = redis.store;
    store_clear(&redis.store);
    redis.store.full = before.full;
    redis.store.read_only = before.read_only;
    redis.store.loading = before.loading;
    redis_take_copy();
}

void redis_delete(struct str key)
{
    store_lose(redis_store(), key); /* no command: one would be refused while it loads, or takes no writes */
    redis_take_copy();
}

/* ---- life ---- */

void redis_begin(void (*published)(struct str channel, struct str message), void (*refused)(struct str key))
{
    memset(&redis, 0, sizeof redis);
    list_init(&redis.clients);
    list_init(&gone);
    redis.published = published;
    redis.refused = refused;
    redis.output_max = SIZE_MAX;
    scripts_begin();
}

void redis_end(void)
{
    struct list_link *lists[] = {&redis.clients, &gone};
    for (size_t i = 0; i < 2; i++)
        LIST_EACH(link, lists[i])
        {
            struct redis_client *client = CONTAINER_OF(link, struct redis_client, link);
            forget_channels(client);
            free_client(client, 0);
        }
    store_clear(&redis.store);
    store_clear(&redis.copy);
    scripts_end();
}
