/* admitter.c - see admitter.h. */
#include "server/net/admission/admitter.h"

#include "common/base/log.h"

enum { TOKENS_LOOKED_AT = 16 }; /* each time */

void admitter_init(struct admitter *admitter, struct net_settings *settings, struct token_keys *keys)
{
    *admitter = (struct admitter){
        .settings = net_settings_ref(settings),
        .keys = token_keys_ref(keys),
        .tokens = token_cache_create(settings->token_cache_entries, settings->token_cache_bytes),
    };
}

void admitter_fini(struct admitter *admitter)
{
    token_cache_destroy(admitter->tokens);
    token_keys_unref(admitter->keys);
    net_settings_unref(admitter->settings);
}

void admitter_configure(struct admitter *admitter, struct net_settings *settings)
{
    net_settings_ref(settings);
    net_settings_unref(admitter->settings);
    admitter->settings = settings;
}

void admitter_set_keys(struct admitter *admitter, struct token_keys *keys)
{
    token_keys_ref(keys);
    token_keys_unref(admitter->keys);
    admitter->keys = keys;
}

static enum metrics_verification verification_label(enum reason reason, bool cached)
{
    switch (reason) {
    case REASON_NONE: return cached ? METRICS_VERIFICATION_CACHED : METRICS_VERIFICATION_OK;
    case REASON_TOKEN_EXPIRED: return METRICS_VERIFICATION_EXPIRED;
    case REASON_TOKEN_REVOKED: return METRICS_VERIFICATION_REVOKED;
    case REASON_TOKEN_NOT_YET_VALID: return METRICS_VERIFICATION_NOT_YET_VALID;
    default: return METRICS_VERIFICATION_INVALID;
    }
}

bool admitter_has_revoked(const struct admitter *admitter, const struct claims *claims)
{
    return admitter->revocations && revocations_cover(admitter->revocations, claims, turn_wall_ms(admitter->turn));
}

enum reason admitter_verify(struct admitter *admitter, struct str token, struct claims **out_claims)
{
    struct error error;
    const struct net_settings *settings = admitter->settings;
    uint64_t now_ms = turn_wall_ms(admitter->turn), hits = token_cache_hits(admitter->tokens);
    enum reason reason =
        token_cache_verify(admitter->tokens, admitter->keys, &settings->policy, token, now_ms, out_claims, &error);
    if (reason == REASON_NONE && admitter_has_revoked(admitter, *out_claims)) {
        claims_unref(*out_claims);
        *out_claims = NULL;
        reason = REASON_TOKEN_REVOKED;
        error_set(&error, ERR_UNAUTHORIZED, "%s", reason_sentence(reason));
    }
    metrics_add_labelled(admitter->metrics, METRIC_TOKEN_VERIFICATIONS,
                         verification_label(reason, token_cache_hits(admitter->tokens) > hits), 1);
    metrics_set(admitter->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(admitter->tokens));
    if (reason != REASON_NONE)
        log_debug("net", "token refused: %s", error.text);
    return reason;
}

void admitter_forget_expired(struct admitter *admitter)
{
    if (token_cache_count(admitter->tokens) == 0)
        return;
    token_cache_expire(admitter->tokens, &admitter->settings->policy, turn_wall_ms(admitter->turn), TOKENS_LOOKED_AT);
    metrics_set(admitter->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(admitter->tokens));
}
