/* explain.c - see explain.h. */
#include "common/base/clock.h"
#include "server/app/explain_private.h"

/* NULL: the token is refused. */
static struct claims *explain_token(struct explanation *answer)
{
    const struct question *question = answer->question;
    struct claims *claims = NULL;
    struct error error;
    char until[CLOCK_RFC3339_LEN + 1];
    enum reason reason = token_verify(answer->configuration->keys, &answer->configuration->net->policy, question->token,
                                      question->now_ms, &claims, &error);
    if (reason != REASON_NONE) {
        buf_appendf(answer->out, "token: refused: %s: %s\n", reason_text(reason), error.text);
        return NULL;
    }
    buf_append_lit(answer->out, "token: good");
    if (claims->sub.len > 0) {
        buf_append_lit(answer->out, ", of user ");
        append_quoted(answer->out, claims->sub);
    }
    if (claims->exp_ms > 0) {
        clock_format(claims->exp_ms, until);
        buf_appendf(answer->out, ", until %s", until);
    }
    buf_append_char(answer->out, '\n');
    return claims;
}

bool explain(const struct configuration *configuration, const struct options *options,
             const struct option_sources *sources, const struct question *question, struct buf *out)
{
    struct explanation answer = {configuration, options, sources, question, out};
    struct claims *claims = explain_token(&answer);
    bool good = claims != NULL;
    if (question->target.len > 0)
        good = explain_endpoint(&answer, claims) && good;
    if (claims && question->channel.len > 0)
        good = explain_channel(&answer, question->channel, claims, ALLOW_ALL) && good;
    claims_unref(claims);
    return good;
}
