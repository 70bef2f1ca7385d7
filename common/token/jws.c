/* jws.c - see jws.h. */
#include "common/token/jws.h"

#include <jwt.h>

#include "common/base/map.h"
#include "common/token/base64url.h"

enum { HEADER_MAX = 2048, KID_MAX = 255, MEMBERS_MAX = 1024 };

static enum err decode_part(struct str text, const char *name, struct buf *bytes, struct str *out, struct error *error)
{
    size_t from = bytes->len;
    if (!base64url_decode(text, bytes))
        return error_set(error, ERR_UNAUTHORIZED, "the token's %s is not base64url (RFC 4648 section 5, no padding)",
                         name);
    *out = str_skip(buf_str(bytes), from);
    return ERR_NONE;
}

enum err jws_split(struct str token, struct jws *out, struct error *error)
{
    struct str rest = token;
    struct str header = str_split(&rest, '.');
    struct str payload = rest.ptr ? str_split(&rest, '.') : STR("");
    if (!rest.ptr || (rest.len && memchr(rest.ptr, '.', rest.len)))
        return error_set(error, ERR_UNAUTHORIZED, "a token has three parts joined by two dots");
    out->encoded_header = header;
    out->signed_text = str_from(token.ptr, header.len + 1 + payload.len);
    /* The decoded parts never outgrow this, so the slices stay where they are. */
    buf_reserve(&out->bytes, token.len + 12);
    enum err err = decode_part(header, "header", &out->bytes, &out->header, error);
    if (!err)
        err = decode_part(payload, "payload", &out->bytes, &out->payload, error);
    if (!err)
        err = decode_part(rest, "signature", &out->bytes, &out->signature, error);
    return err;
}

void jws_fini(struct jws *jws)
{
    buf_fini(&jws->bytes);
    *jws = (struct jws){0};
}

void jws_header_fini(struct jws_header *header)
{
    buf_fini(&header->owned);
    *header = (struct jws_header){0};
}

static bool same_text(const char *theirs, struct str ours)
{
    return theirs ? str_eq_cstr(ours, theirs) : ours.len == 0;
}

/* A second, independent reading. libjwt decides nothing, but a header on which two readers differ is an attack or a
 * mistake. It gets an empty payload: what libjwt thinks of the claims does not matter, and costs time. It refuses
 * headers whose alg or typ it does not know (1.10.2: PS and EdDSA; "at+jwt"), so those it is not asked about. */
static bool libjwt_agrees(struct str encoded_header, const struct jws_header *header)
{
    jwt_t *jwt = NULL;
    struct buf token = {0};
    buf_reserve(&token, encoded_header.len + 8);
    buf_append(&token, encoded_header);
    buf_append_lit(&token, ".e30."); /* {} and no signature: without a key none is looked at */
    bool agrees = jwt_decode(&jwt, buf_cstr(&token), NULL, 0) == 0 &&
                  same_text(jwt_get_header(jwt, "alg"), str_from_cstr(header->algorithm->name)) &&
                  same_text(jwt_get_header(jwt, "kid"), header->kid);
    jwt_free(jwt);
    buf_fini(&token);
    return agrees;
}

/* A media type, whose "application/" may be left out (RFC 7515, 4.1.9). Some encoders escape the '/'. */
static enum err read_typ(struct json_value typ, bool *out_is_jwt, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    struct buf scratch = {0};
    struct str text = STR("JWT"), prefix = STR("application/");
    enum err err = ERR_NONE;
    if (typ.type && !json_text(typ, &scratch, &text))
        text = STR("");
    *out_is_jwt = str_eq_nocase(text, STR("JWT"));
    struct str name = text;
    if (text.len > prefix.len && str_eq_nocase(str_from(text.ptr, prefix.len), prefix))
        name = str_skip(text, prefix.len);
    if (!str_eq_nocase(name, STR("JWT")) && !str_eq_nocase(name, STR("at+jwt"))) /* RFC 9068 */
        err = error_set(error, ERR_UNAUTHORIZED, "the token's header has typ %s; \"JWT\" or \"at+jwt\" is expected",
                        error_quote(text, quoted));
    buf_fini(&scratch);
    return err;
}

static enum err read_kid(struct json_value kid, struct jws_header *out, struct error *error)
{
    if (!kid.type)
        return ERR_NONE;
    if (!json_text(kid, &out->owned, &out->kid) || out->kid.len == 0 || out->kid.len > KID_MAX)
        return error_set(error, ERR_UNAUTHORIZED, "the token's kid must be a text of 1 to %d bytes without NUL",
                         KID_MAX);
    return ERR_NONE;
}

static enum err read_algorithm(struct json_value alg, const struct algorithm **out, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    struct str name = str_from(alg.raw.ptr + 1, alg.raw.len - 2);
    *out = algorithm_by_name(name);
    if (*out)
        return ERR_NONE;
    if (str_eq_nocase(name, STR("none")))
        return error_set(error, ERR_UNAUTHORIZED, "the token is not signed (alg none), which is never accepted");
    return error_set(error, ERR_UNAUTHORIZED, "the token's alg %s is not a known algorithm", error_quote(name, quoted));
}

static bool has_escape(struct str raw_key)
{
    return raw_key.len > 0 && memchr(raw_key.ptr, '\\', raw_key.len);
}

enum err jws_members_are_unique(struct json_value object, struct error *error)
{
    static char present; /* any pointer that is not NULL */
    char quoted[ERROR_QUOTE_LEN];
    struct map seen = {0};
    struct buf names = {0}; /* of the escaped names; reserved at once, so that the map's keys do not move */
    enum err err = ERR_NONE;
    struct str key;
    struct json_value item;
    struct json_cursor at = json_walk(object);
    while (!err && json_next(&at, &key, &item)) {
        if (has_escape(key)) {
            struct json_value name = {.type = JSON_STRING, .raw = str_from(key.ptr - 1, key.len + 2)};
            buf_reserve(&names, names.cap ? 0 : object.raw.len);
            if (!json_text(name, &names, &key)) {
                err = error_set(error, ERR_INVALID_REQUEST, "a member's name holds a NUL");
                continue;
            }
        }
        if (map_put(&seen, key, &present))
            err = error_set(error, ERR_INVALID_REQUEST, "the member %s is given twice", error_quote(key, quoted));
        else if (seen.count > MEMBERS_MAX)
            err = error_set(error, ERR_INVALID_REQUEST, "more than %d members", MEMBERS_MAX);
    }
    map_fini(&seen);
    buf_fini(&names);
    return err;
}

enum err jws_read_header(const struct jws *jws, struct jws_header *out, struct error *error)
{
    struct json_value top, alg = {0}, kid = {0}, typ = {0}, crit = {0};
    const struct json_field fields[] = {
        {"alg", JSON_STRING, true, &alg},
        {"kid", JSON_STRING, false, &kid},
        {"typ", JSON_STRING, false, &typ},
        {"crit", JSON_ANY, false, &crit},
    };
    struct error cause;
    bool is_jwt;
    if (jws->header.len > HEADER_MAX)
        return error_set(error, ERR_UNAUTHORIZED, "the token's header is over %d bytes", HEADER_MAX);
    if (json_check(jws->header, NULL, &top, &cause) != ERR_NONE ||
        json_bind(top, "", fields, sizeof fields / sizeof fields[0], &cause) != ERR_NONE ||
        jws_members_are_unique(top, &cause) != ERR_NONE)
        return error_set(error, ERR_UNAUTHORIZED, "the token's header: %s", cause.text);
    if (crit.type)
        return error_set(error, ERR_UNAUTHORIZED,
                         "the token's header has crit: extensions that must be understood are not supported");
    if (read_algorithm(alg, &out->algorithm, error) != ERR_NONE || read_typ(typ, &is_jwt, error) != ERR_NONE ||
        read_kid(kid, out, error) != ERR_NONE)
        return ERR_UNAUTHORIZED;
    /* libjwt's answer to an unknown name. JWT_ALG_INVAL does not do: in Ubuntu 24.04 the header's value differs from
     * the library's. */
    jwt_alg_t unknown = jwt_str_alg("no algorithm");
    bool known_to_libjwt = is_jwt && jwt_str_alg(out->algorithm->name) != unknown && !out->algorithm->pss;
    if (known_to_libjwt && !libjwt_agrees(jws->encoded_header, out))
        return error_set(error, ERR_UNAUTHORIZED, "the token's header is read differently by two readers");
    return ERR_NONE;
}
