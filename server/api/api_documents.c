/* api_documents.c - /openapi.yaml and /asyncapi.yaml: this API and the frames of clients, for programs that read such
 * descriptions. The files of docs/ are embedded at build time. No key is needed. */
#include "server/api/api_document_texts.h"
#include "server/api/api_private.h"

static void respond(const struct api_request *request, struct str document)
{
    request->call->response.content_type = "application/yaml";
    buf_append(&request->call->response.body, document);
    api_respond(request, 200);
}

void api_openapi(const struct api_request *request)
{
    respond(request, str_from(openapi_text, sizeof openapi_text - 1));
}

void api_asyncapi(const struct api_request *request)
{
    respond(request, str_from(asyncapi_text, sizeof asyncapi_text - 1));
}
