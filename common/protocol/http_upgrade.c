/* http_upgrade.c - the WebSocket opening handshake in a request head; see http_head.h. */
#include "common/protocol/http_head.h"

/* 16 bytes in base64: 22 characters and "==". */
static bool is_websocket_key(struct str key)
{
    if (key.len != 24 || key.ptr[22] != '=' || key.ptr[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && c != '+' && c != '/')
            return false;
    }
    return true;
}

enum http_upgrade http_head_upgrade(const struct http_head *head, struct error *error)
{
    struct str value;
    const char *fault = NULL;
    if (!http_head_find(head, STR("upgrade"), &value))
        return HTTP_UPGRADE_NONE;
    if (!http_head_has_token(head, STR("upgrade"), STR("websocket")))
        return HTTP_UPGRADE_OTHER;
    if (!str_eq(head->method, STR("GET")) || head->minor != 1)
        fault = "a WebSocket handshake is a GET request of HTTP/1.1";
    else if (!http_head_has_token(head, STR("connection"), STR("upgrade")))
        fault = "Upgrade: websocket came without Connection: upgrade; a proxy on the way may have removed it";
    else if (head->host.len == 0) /* RFC 9110, 7.2 allows it, RFC 6455, 4.2.1 does not */
        fault = "a WebSocket handshake needs a Host that is not empty";
    else if (head->transfer != HTTP_TRANSFER_PLAIN || (head->has_content_length && head->content_length > 0))
        fault = "a WebSocket handshake has no body";
    else if (!http_head_find(head, STR("sec-websocket-version"), &value))
        fault = "Sec-WebSocket-Version is missing";
    if (fault) {
        error_set(error, ERR_INVALID_REQUEST, "%s", fault);
        return HTTP_UPGRADE_BAD;
    }
    if (!str_eq(value, STR("13"))) {
        error_set(error, ERR_INVALID_REQUEST, "only WebSocket version 13 is spoken here");
        return HTTP_UPGRADE_BAD_VERSION;
    }
    if (!http_head_find(head, STR("sec-websocket-key"), &value) || !is_websocket_key(value)) {
        error_set(error, ERR_INVALID_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64");
        return HTTP_UPGRADE_BAD;
    }
    return HTTP_UPGRADE_WEBSOCKET;
}
