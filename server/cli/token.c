/* token.c - `carillon token`: makes tokens for trying things out (and, in token_inspect.c, explains why a server would
 * refuse one). Works on files and flags only: it talks to no server. */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/token/algorithm.h"
#include "common/token/claims.h"
#include "common/token/issue.h"
#include "server/cli/cli.h"
#include "server/cli/token_flags.h"

static const char mint_help[] =
    "usage: carillon token [mint] --sub USER [options]\n"
    "       carillon token inspect [TOKEN] [options]\n"
    "\n"
    "mint prints a signed token and nothing else. The key comes from one of\n"
    "  --secret-file FILE    HMAC secret, at least 32 bytes (a newline at its end does not count)\n"
    "  --key-file FILE       private key as PEM without a passphrase, or a JWK with a secret\n"
    "  CARILLON_TOKEN_SECRET the HMAC secret itself, in the environment\n"
    "\n"
    "  --sub USER            user that the token is for (required)\n"
    "  --channel PATTERN     channel or pattern that the token grants; may be given again\n"
    "  --scope WORDS         scopes, separated by spaces\n"
    "  --expires TIME        how long it is valid: 90s, 15m, 1h, 30d, or none (default 1h)\n"
    "  --not-before TIME     valid only from so long after now\n"
    "  --iss ISSUER, --aud AUDIENCE (may be given again)\n"
    "  --jti ID              token id; auto makes one\n"
    "  --claim NAME=JSON     any further claim, such as org='\"acme\"' or level=3; may be given again\n"
    "  --alg NAME            algorithm (default: the key's first: HS256, RS256, ES256, ES384 or EdDSA)\n"
    "  --kid ID              name of the key, for the token's header\n"
    "\n"
    "examples:\n"
    "  carillon token --secret-file secret --sub user-456 --channel 'conversation:*' --expires 1h\n"
    "  carillon token --key-file private.pem --alg PS256 --kid 2026-01 --sub user-456 --claim org='\"acme\"'\n"
    "  carillon token inspect --help\n";

static const struct option mint_options[] = {
    {"secret-file", required_argument, NULL, FLAG_SECRET_FILE},
    {"key-file", required_argument, NULL, FLAG_KEY_FILE},
    {"sub", required_argument, NULL, FLAG_SUB},
    {"channel", required_argument, NULL, FLAG_CHANNEL},
    {"scope", required_argument, NULL, FLAG_SCOPE},
    {"expires", required_argument, NULL, FLAG_EXPIRES},
    {"not-before", required_argument, NULL, FLAG_NOT_BEFORE},
    {"iss", required_argument, NULL, FLAG_ISS},
    {"aud", required_argument, NULL, FLAG_AUD},
    {"jti", required_argument, NULL, FLAG_JTI},
    {"claim", required_argument, NULL, FLAG_CLAIM},
    {"alg", required_argument, NULL, FLAG_ALG},
    {"kid", required_argument, NULL, FLAG_KID},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void append_text(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    buf_appendf(out, ",\"%s\":", name);
    json_append_string(out, str_from_cstr(text));
}

/* One as a text or several as an array (aud), or always an array (channels). */
static void append_list(struct buf *out, const char *name, const struct flag_list *list, bool always_array)
{
    if (list->count == 0)
        return;
    bool array = always_array || list->count > 1;
    buf_appendf(out, ",\"%s\":%s", name, array ? "[" : "");
    for (size_t i = 0; i < list->count; i++) {
        buf_append(out, i ? STR(",") : STR(""));
        json_append_string(out, str_from_cstr(list->items[i]));
    }
    buf_append(out, array ? STR("]") : STR(""));
}

static enum err append_claim(struct buf *out, const char *claim, struct error *error)
{
    struct str value = str_from_cstr(claim);
    struct json_value checked;
    struct error cause;
    struct str name = str_split(&value, '=');
    if (!value.ptr || name.len == 0)
        return error_set(error, ERR_INVALID_REQUEST, "--claim %s: NAME=JSON is expected", claim);
    if (json_check(value, NULL, &checked, &cause) != ERR_NONE)
        return error_set(error, ERR_INVALID_REQUEST,
                         "--claim %s: the value must be JSON (a text needs quotes: %.*s='\"...\"'): %s", claim,
                         STR_ARG(name), cause.text);
    buf_append_char(out, ',');
    json_append_string(out, name);
    buf_append_char(out, ':');
    buf_append(out, checked.raw);
    return ERR_NONE;
}

static enum err append_times(struct buf *out, const struct token_flags *flags, uint64_t now_s, struct error *error)
{
    const char *expires = flags->expires ? flags->expires : "1h";
    uint64_t seconds;
    buf_appendf(out, ",\"iat\":%llu", (unsigned long long)now_s);
    if (strcmp(expires, "none") != 0) {
        if (!token_parse_seconds(expires, &seconds) || seconds == 0)
            return error_set(error, ERR_INVALID_REQUEST, "--expires %s: 90s, 15m, 1h, 30d or none is expected",
                             expires);
        buf_appendf(out, ",\"exp\":%llu", (unsigned long long)(now_s + seconds));
    }
    if (flags->not_before) {
        if (!token_parse_seconds(flags->not_before, &seconds))
            return error_set(error, ERR_INVALID_REQUEST, "--not-before %s: a time like 90s, 15m, 1h or 30d is expected",
                             flags->not_before);
        buf_appendf(out, ",\"nbf\":%llu", (unsigned long long)(now_s + seconds));
    }
    return ERR_NONE;
}

static enum err make_payload(const struct token_flags *flags, uint64_t now_ms, struct buf *out, struct error *error)
{
    char id[UUID_LEN + 1];
    struct claims *claims = NULL;
    if (flags->issuers.count > 1)
        return error_set(error, ERR_INVALID_REQUEST, "--iss: a token has one issuer");
    uuid_v7(now_ms, id);
    buf_append_lit(out, "{\"sub\":");
    json_append_string(out, str_from_cstr(flags->sub));
    enum err err = append_times(out, flags, now_ms / 1000, error);
    append_text(out, "iss", flags->issuers.count ? flags->issuers.items[0] : NULL);
    append_list(out, "aud", &flags->audiences, false);
    append_text(out, "scope", flags->scope);
    append_text(out, "jti", flags->jti && strcmp(flags->jti, "auto") == 0 ? id : flags->jti);
    append_list(out, "channels", &flags->channels, true);
    for (size_t i = 0; !err && i < flags->claims.count; i++)
        err = append_claim(out, flags->claims.items[i], error);
    buf_append_char(out, '}');
    /* Claims that no server would accept are not signed. */
    if (!err)
        err = claims_parse(buf_str(out), &claims, error);
    claims_unref(claims);
    return err;
}

/* What the flags ask for. An error is a wrong call. */
static enum err read_order(const struct token_flags *flags, unsigned *out_algorithm, struct buf *out_payload,
                           struct error *error)
{
    unsigned algorithm = 0;
    enum err err = ERR_NONE;
    if (!flags->sub)
        err = error_set(error, ERR_INVALID_REQUEST, "--sub is missing: whom is the token for?");
    else if (token_keys_count(flags->keys) == 0)
        err = error_set(error, ERR_INVALID_REQUEST,
                        "no key: give --secret-file or --key-file, or set CARILLON_TOKEN_SECRET");
    if (!err && flags->algorithms)
        err = algorithm_set_parse(str_from_cstr(flags->algorithms), &algorithm, error);
    if (!err && (algorithm & (algorithm - 1)))
        err = error_set(error, ERR_INVALID_REQUEST, "--alg: a token has one algorithm");
    *out_algorithm = algorithm;
    return err ? err : make_payload(flags, clock_wall_ms(), out_payload, error);
}

static int mint_token(const char *command, const struct token_flags *flags)
{
    struct error error;
    struct buf payload = {0};
    struct buf token = {0};
    unsigned algorithm;
    int status = CLI_OK;
    if (read_order(flags, &algorithm, &payload, &error) != ERR_NONE)
        status = cli_usage(command, "%s", error.text);
    else if (token_issue(flags->keys, algorithm, str_from_cstr(flags->kid), buf_str(&payload), &token, &error) !=
             ERR_NONE)
        status = cli_fail(command, CLI_FAILED, "%s", error.text);
    else
        puts(buf_cstr(&token));
    buf_fini(&payload);
    buf_fini(&token);
    return status;
}

static int mint(int argc, char **argv)
{
    struct error error;
    struct token_flags flags = {0};
    int status = CLI_OK;
    if (token_flags_read(&flags, argc, argv, mint_options, &error) != ERR_NONE)
        status = cli_usage(argv[0], "%s", error.text);
    else if (flags.help)
        fputs(mint_help, stdout);
    else if (optind < argc)
        status = cli_usage(argv[0], "%s is no option, nor one of the commands mint and inspect", argv[optind]);
    else
        status = mint_token(argv[0], &flags);
    token_flags_fini(&flags);
    return status;
}

/* The word after "token" is the command. It gets its whole name as argv[0], as all subcommands do. */
static int run_named(int (*run)(int argc, char **argv), const char *name, int argc, char **argv)
{
    char called[32];
    snprintf(called, sizeof called, "%s", name);
    argv[1] = called;
    return run(argc - 1, argv + 1);
}

int cli_token(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "inspect") == 0)
        return run_named(token_inspect, "carillon token inspect", argc, argv);
    if (strcmp(command, "mint") == 0)
        return run_named(mint, "carillon token mint", argc, argv);
    return mint(argc, argv);
}
