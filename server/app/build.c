/* build.c - see build.h. The only file with the commit in it: it alone is compiled again after each commit. */
#include "server/app/build.h"

#include <cjson/cJSON.h>
#include <openssl/crypto.h>
#include <uv.h>

#include "server/app/commit.h"
#include "server/app/version.h"

const char *build_commit(void)
{
    return CARILLON_COMMIT;
}

void build_describe(struct buf *out)
{
    buf_append_lit(out,
                   "{\"version\":\"" CARILLON_VERSION "\",\"commit\":\"" CARILLON_COMMIT
                   "\",\"libraries\":{\"libwebsockets\":\"" CARILLON_LIBWEBSOCKETS "\",\"libjwt\":\"" CARILLON_LIBJWT
                   "\",\"hiredis\":\"" CARILLON_HIREDIS "\",\"libcurl\":\"" CARILLON_LIBCURL "\"");
    buf_appendf(out, ",\"libuv\":\"%s\",\"openssl\":\"%s\",\"cjson\":\"%s\"}", uv_version_string(),
                OpenSSL_version(OPENSSL_VERSION_STRING), cJSON_Version());
    buf_append_lit(out, ",\"features\":[" CARILLON_FEATURES "]}");
}
