/* token_inspect.c - `carillon token inspect`: what a token says, and whether a server would take it. */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/token/jws.h"
#include "common/token/verify.h"
#include "server/cli/cli.h"
#include "server/cli/token_flags.h"

static const char inspect_help[] =
    "usage: carillon token inspect [TOKEN|-] [options]\n"
    "\n"
    "Shows what a token says and whether a server with this key would accept it now: exit status 0 if so, 1 with\n"
    "the reason if not. Without TOKEN, or with -, it is read from standard input, which keeps it out of the shell's\n"
    "history. Without a key the signature is not checked, and the last line says so.\n"
    "\n"
    "  --secret-file FILE    HMAC secret\n"
    "  --key-file FILE       public key, certificate or private key as PEM, or JWK or JWK set; may be given again\n"
    "  --jwks FILE           the same\n"
    "  CARILLON_TOKEN_SECRET the HMAC secret itself, in the environment\n"
    "  --iss ISSUER          accepted issuer; may be given again\n"
    "  --aud AUDIENCE        accepted audience; may be given again\n"
    "  --alg NAMES           accepted algorithms (default: all)\n"
    "\n"
    "examples:\n"
    "  carillon token inspect --jwks keys.json \"$TOKEN\"\n"
    "  xclip -o | carillon token inspect --secret-file secret --aud carillon\n";

static const struct option inspect_options[] = {
    {"secret-file", required_argument, NULL, FLAG_SECRET_FILE},
    {"key-file", required_argument, NULL, FLAG_KEY_FILE},
    {"jwks", required_argument, NULL, FLAG_KEY_FILE},
    {"iss", required_argument, NULL, FLAG_ISS},
    {"aud", required_argument, NULL, FLAG_AUD},
    {"alg", required_argument, NULL, FLAG_ALG},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* Digits as they are in the token, which a tree of doubles could not keep. */
static void print_json(struct json_value value, int indent)
{
    struct json_cursor at = json_walk(value);
    struct str key;
    struct json_value item;
    bool any = false;
    if (!(value.type & (JSON_OBJECT | JSON_ARRAY))) {
        fwrite(value.raw.ptr, 1, value.raw.len, stdout);
        return;
    }
    putchar(value.raw.ptr[0]);
    for (; json_next(&at, &key, &item); any = true) {
        printf("%s\n%*s", any ? "," : "", indent + 2, "");
        if (value.type == JSON_OBJECT)
            printf("\"%.*s\": ", STR_ARG(key));
        print_json(item, indent + 2);
    }
    if (any)
        printf("\n%*s", indent, "");
    putchar(value.raw.ptr[value.raw.len - 1]);
}

static void print_part(const char *name, struct str text)
{
    struct json_value value;
    struct error error;
    printf("%s ", name);
    if (json_check(text, NULL, &value, &error) == ERR_NONE)
        print_json(value, 0);
    else
        printf("(%zu bytes) is not JSON: %s", text.len, error.text);
    putchar('\n');
}

static void print_time(const char *label, uint64_t at_ms, uint64_t now_ms)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    char text[CLOCK_RFC3339_LEN + 1];
    if (!at_ms)
        return;
    uint64_t span = (at_ms > now_ms ? at_ms - now_ms : now_ms - at_ms) / 1000;
    size_t i = 0;
    while (i < 3 && span < 2 * units[i].seconds)
        i++;
    clock_format(at_ms, text);
    printf("%-12s%s (%s%llu %s%s)\n", label, text, at_ms > now_ms ? "in " : "",
           (unsigned long long)((span + units[i].seconds / 2) / units[i].seconds), units[i].name,
           at_ms > now_ms ? "" : " ago");
}

static void print_token(struct str token, uint64_t now_ms)
{
    struct jws jws = {0};
    struct claims *claims = NULL;
    if (jws_split(token, &jws, NULL) == ERR_NONE) {
        print_part("header", jws.header);
        print_part("payload", jws.payload);
        if (claims_parse(jws.payload, &claims, NULL) == ERR_NONE) {
            print_time("issued at", claims->iat_ms, now_ms);
            print_time("valid from", claims->nbf_ms, now_ms);
            print_time("expires", claims->exp_ms, now_ms);
        }
        claims_unref(claims);
    }
    jws_fini(&jws);
}

/* The checks that need no key. */
static enum reason check_unsigned(const struct token_policy *policy, struct str token, uint64_t now_ms,
                                  struct claims **out, struct error *error)
{
    struct jws jws = {0};
    struct jws_header header = {0};
    enum reason reason = REASON_TOKEN_INVALID;
    if (token.len > policy->max_bytes)
        error_set(error, ERR_UNAUTHORIZED, "the token has %zu bytes; at most %zu are accepted", token.len,
                  policy->max_bytes);
    else if (jws_split(token, &jws, error) == ERR_NONE && jws_read_header(&jws, &header, error) == ERR_NONE &&
             claims_parse(jws.payload, out, error) == ERR_NONE)
        reason = token_check_claims(policy, *out, now_ms, error);
    jws_header_fini(&header);
    jws_fini(&jws);
    return reason;
}

static int inspect(const struct token_flags *flags, const struct token_policy *policy, struct str token,
                   uint64_t now_ms)
{
    struct claims *claims = NULL;
    struct error error;
    char until[CLOCK_RFC3339_LEN + 1];
    bool has_key = token_keys_count(flags->keys) > 0;
    enum reason reason = has_key ? token_verify(flags->keys, policy, token, now_ms, &claims, &error)
                                 : check_unsigned(policy, token, now_ms, &claims, &error);
    if (!reason)
        clock_format(claims->exp_ms, until);
    if (reason)
        printf("a server would refuse it: %s: %s\n", reason_text(reason), error.text);
    else if (!has_key)
        puts("the signature was NOT checked: give --secret-file, --key-file or --jwks");
    else if (claims->exp_ms && claims->exp_ms <= now_ms)
        printf("expired, but accepted by token.leeway: a server still takes it for %llu s\n",
               (unsigned long long)((claims->exp_ms + policy->leeway_ms - now_ms + 999) / 1000));
    else if (claims->nbf_ms > now_ms || claims->iat_ms > now_ms)
        printf("not valid yet, but accepted by token.leeway; valid until %s\n", until);
    else
        printf("valid until %s\n", until);
    claims_unref(claims);
    return reason ? CLI_FAILED : CLI_OK;
}

static int inspect_token(const struct token_flags *flags, unsigned algorithms, struct str token)
{
    struct str issuers[FLAG_LIST_MAX], audiences[FLAG_LIST_MAX];
    struct token_policy policy = token_policy_default();
    uint64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < flags->issuers.count; i++)
        issuers[i] = str_from_cstr(flags->issuers.items[i]);
    for (size_t i = 0; i < flags->audiences.count; i++)
        audiences[i] = str_from_cstr(flags->audiences.items[i]);
    policy.issuers = issuers;
    policy.issuer_count = flags->issuers.count;
    policy.audiences = audiences;
    policy.audience_count = flags->audiences.count;
    if (algorithms)
        policy.algorithms = algorithms;
    print_token(token, now_ms);
    return inspect(flags, &policy, token, now_ms);
}

/* Tokens come pasted: with a newline at the end, or the whole value of an Authorization header. */
static struct str trim(struct str text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]))
        text.len--;
    text = str_trim(text);
    return str_starts_with(text, STR("Bearer ")) ? str_trim(str_skip(text, 7)) : text;
}

int token_inspect(int argc, char **argv)
{
    struct error error;
    struct buf input = {0};
    unsigned algorithms = 0;
    struct token_flags flags = {0};
    int status;
    if (token_flags_read(&flags, argc, argv, inspect_options, &error) != ERR_NONE) {
        status = cli_usage(argv[0], "%s", error.text);
    } else if (flags.help) {
        fputs(inspect_help, stdout);
        status = CLI_OK;
    } else if (flags.algorithms &&
               algorithm_set_parse(str_from_cstr(flags.algorithms), &algorithms, &error) != ERR_NONE) {
        status = cli_usage(argv[0], "--alg: %s", error.text);
    } else if (argc - optind > 1) {
        status = cli_usage(argv[0], "more than one token is given");
    } else if (optind < argc && strcmp(argv[optind], "-") != 0) {
        status = inspect_token(&flags, algorithms, trim(str_from_cstr(argv[optind])));
    } else if (cli_read_file("-", TOKEN_FILE_MAX, &input, &error) != ERR_NONE) {
        status = cli_fail(argv[0], CLI_FAILED, "%s", error.text);
    } else {
        status = inspect_token(&flags, algorithms, trim(buf_str(&input)));
    }
    buf_fini(&input);
    token_flags_fini(&flags);
    return status;
}
