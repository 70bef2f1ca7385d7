/* count_gate.c - a browser's upgrade at the gate, from the bytes of its request head to the admission with claims.
 * Counted for each kind of token, in the cache and not. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/instructions/measure.h"
#include "common/token/issue.h"
#include "server/dialect/carillon.h"
#include "server/net/entry/limits_step.h"
#include "server/net/ws/ws.h"

enum { TIMES = 500 };
static const uint64_t now_ms = 1768473000000;

/* Of a key that was thrown away after it had signed these two. They expire an hour after now_ms. */
static const char rsa_jwk[] =
    "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"x31Z0CtbiDu0AJ8hXWoN4YeTbn2GoRGaKWuY2jRPZMKqZVQbYljOsup2aENz"
    "wOcsGfvGUtMnpTapM7JUpfVwHd3Nkjo6Px13a2tcPRhfn0icFG3Sr4Kf_e6UnUckjvSDAE7GHPJVVL3DrhFS_dJLWLT0HOZ1Yi2b"
    "fjDx8FOFNPr6DfuHCZXUtfqJNoEaWTZcgtG1vEkonLW0_KiWv-Wr-hUZKvf2Yc4di6YPDHAZOAW78OKi_VzI4Ro8lvKXs3OYLMZE"
    "KuX0lmZmTGaCAgCM8or10F2U1q_pPF3q-y4wl-FIgD5nt_1f4P5Ab06Tp7fEZ8Uf8zCX8R27uy6DfCE0tQ\"}";

static const char *const rsa_tokens[] = {
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTEiLCJleHAiOjE3Njg0NzY2MDB9.HGHGkMWnfIMsdP-9a3"
    "XJK4NLJUR8R8lSrZqkcfrzNOrJ5yCmwsIcO788w25OMulLpDZvuOyhIyJ3Pd1gdNI2wsRg_Xfn6lwgvGAZAkvxaHH_UKJ2HPxzIN"
    "SnBzoKNYtoSr-PR59tvg58hZMGfFeD_944Y7M1mfSZDqkUSihXUMyF-C1USLenH_rLhdbgr1Am-5e6pWxXZkYCyieIQ878STUXJm"
    "uwjlkkzG2ilHVChhYJnkAmh46wnyJ75TfNw3m4qmDjXcXxHJDl8S_fTA859e2-V5nQuUz2m3fLsdt95XfBu-XPolc80HJnOZyZdA"
    "zjT76xgrcycXvStN8XOt70YQ",
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTIiLCJleHAiOjE3Njg0NzY2MDB9.ghdGyFyxOOPj_0h7Ig"
    "x48kGOZnBIMSzK7i4eZgWE_X61s9TbVtjnYawmqH4fIz0IqxuIN3WGwAG9wVYow9OQDxT3HDdkhaV7Kq6JYI97jBjy7BNcu-ayyP"
    "o6-AjBf7dOmYmokR8F1OLEMp3M1weU-HU4LQ1TltS92zDvuxEQH2iYXSOY1JPEHvVMwQJGb5O2MCWoooea8uTbIl9Z13aSPo50vt"
    "b4zbkHQf6swOl-QUitEdvT9JCtIZkjO-V5l2CzLAAlznyrfqczxLXE_IDWQPuaFd9J7Ljugnhwbs2SaOPWSb0g4i2NODymyxQYQE"
    "GUgTnPCNIOt4MoetDc8V1gLQ",
};

struct counted_gate {
    struct admitter admitter;
    struct turn turn; /* its time only */
    struct metrics metrics;
    struct buf bytes[2]; /* a request with one token, one with another */
};

static void admit(struct counted_gate *gate, struct str bytes)
{
    static const struct address peer = {{[15] = 1}};
    struct http_head head;
    struct admission admission;
    struct lease lease = {0};
    struct error error;
    struct entry entry;
    enum reason reason;
    const struct entry_step steps[] = {limits_step, user_limit_step};
    const struct entry_start start = {.admitter = &gate->admitter, .lease = &lease, .steps = steps, .step_count = 2};
    size_t scanned = 0;
    if (http_head_parse(bytes, 8192, &scanned, &head, NULL) != HTTP_HEAD_DONE)
        abort();
    admission_decide(&gate->admitter, &head, &peer, &admission, &error);
    if (admission.outcome != ADMITTED) {
        fprintf(stderr, "refused: %s\n", reason_sentence(admission.reason));
        abort();
    }
    entry_init(&entry, &start, &admission);
    if (entry_run(&entry, &head, &reason) != ENTRY_PASSES)
        abort();
    lease_release(&lease, gate->admitter.quota);
    entry_fini(&entry);
}

static void write_request(struct buf *out, struct str token)
{
    buf_appendf(out,
                "GET /ws?token=%.*s HTTP/1.1\r\nHost: realtime.example.com\r\nConnection: Upgrade\r\n"
                "Pragma: no-cache\r\nCache-Control: no-cache\r\n"
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/140.0.0.0 Safari/537.36\r\n"
                "Upgrade: websocket\r\nOrigin: https://app.example.com\r\nSec-WebSocket-Version: 13\r\n"
                "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
                STR_ARG(token));
}

/* With a cache of one entry, tokens in turn are never in it, and one token always is. */
static void count(const char *name, struct token_keys *keys, struct str first, struct str second)
{
    struct counted_gate gate = {.turn = {.begun = true, .wall_ms = now_ms}};
    struct net_settings *settings = net_settings_create();
    settings->token_cache_entries = 1;
    settings->token_cache_bytes = SIZE_MAX;
    net_settings_add_endpoint(settings, STR("/ws"), &ws_transport, &carillon_dialect);
    metrics_init(&gate.metrics, 0);
    admitter_init(&gate.admitter, settings, keys);
    gate.admitter.quota = quota_create();
    gate.admitter.metrics = &gate.metrics;
    gate.admitter.turn = &gate.turn;
    write_request(&gate.bytes[0], first);
    write_request(&gate.bytes[1], second);
    measure_on();
    for (int round = 0; round < 2; round++) {
        char value[32];
        measure_from();
        for (int i = 0; i < TIMES; i++)
            admit(&gate, buf_str(&gate.bytes[i % 2]));
        measure_to("gate", "token", name, TIMES);
        measure_from();
        for (int i = 0; i < TIMES; i++)
            admit(&gate, buf_str(&gate.bytes[1]));
        snprintf(value, sizeof value, "%s_in_cache", name);
        measure_to("gate", "token", value, TIMES);
    }
    measure_off();
    buf_fini(&gate.bytes[0]);
    buf_fini(&gate.bytes[1]);
    quota_destroy(gate.admitter.quota);
    admitter_fini(&gate.admitter);
    net_settings_unref(settings);
    token_keys_unref(keys);
}

static void must(enum err err, const struct error *error)
{
    if (err) {
        fprintf(stderr, "%s\n", error->text);
        abort();
    }
}

static void count_hs256(void)
{
    struct error error;
    struct buf tokens[2] = {{0}, {0}};
    struct token_keys *keys = token_keys_create();
    must(token_keys_add_secret(keys, "secret", STR(""), ALGORITHM_HS256, STR("a secret of more than thirty-two bytes"),
                               &error),
         &error);
    must(
        token_issue(keys, ALGORITHM_HS256, STR(""), STR("{\"sub\":\"user-1\",\"exp\":1768476600}"), &tokens[0], &error),
        &error);
    must(
        token_issue(keys, ALGORITHM_HS256, STR(""), STR("{\"sub\":\"user-2\",\"exp\":1768476600}"), &tokens[1], &error),
        &error);
    count("hs256", keys, buf_str(&tokens[0]), buf_str(&tokens[1]));
    buf_fini(&tokens[0]);
    buf_fini(&tokens[1]);
}

static void count_rs256(void)
{
    struct error error;
    struct token_keys *keys = token_keys_create();
    must(token_keys_add_jwk(keys, "jwk", STR(""), 0, str_from_cstr(rsa_jwk), &error), &error);
    count("rs256", keys, str_from_cstr(rsa_tokens[0]), str_from_cstr(rsa_tokens[1]));
}

int main(void)
{
    count_hs256();
    count_rs256();
    return 0;
}
