/* backend_socket.h - a connection to a backend as bytes, by TCP or TLS, on the loop of a turn. The name is looked
 * up for each connection (name_lookup.h). The addresses of the name are tried one after the other. A socket has no
 * limits, and but for the time of an address no deadlines: its owner sets them. One thread: the turn's. Private to this
 * folder.
 *
 * It uses libuv and not libwebsockets: libwebsockets' client resolves names in the loop's thread, and would need a
 * vhost with authorities of its own for each upstream. */
#ifndef CARILLON_UPSTREAM_BACKEND_SOCKET_H
#define CARILLON_UPSTREAM_BACKEND_SOCKET_H

#include <openssl/types.h>
#include <uv.h>

#include "common/base/buf.h"
#include "common/base/mailbox.h"
#include "common/base/name_lookup.h"
#include "server/outbound/outbound.h"

struct backend_socket;
struct tls_stream;

/* None is called from within a function below. Each may call any function below. */
struct backend_socket_ops {
    /* Connected, and by TLS the certificate is good. */
    void (*open)(struct backend_socket *socket);
    /* Bytes have come. Returns how many of them it takes. The others are kept, and come again in the next turn. */
    size_t (*input)(struct backend_socket *socket, struct str bytes);
    /* The kernel has taken bytes that it did not take at first. */
    void (*written)(struct backend_socket *socket);
    /* It could not be opened, or it is of no more use. OUTBOUND_OK: the backend has closed it in order. Once at most.
     * why is for the log, and borrowed for the call. The owner closes the socket. */
    void (*ended)(struct backend_socket *socket, enum outbound_result result, const char *why);
    /* After backend_socket_close: the memory of the socket is the owner's again. */
    void (*closed)(struct backend_socket *socket);
};

enum backend_socket_state {
    SOCKET_NONE, /* zeroed, or closed */
    SOCKET_RESOLVING,
    SOCKET_CONNECTING,
    SOCKET_HANDSHAKE,
    SOCKET_OPEN,
    SOCKET_ENDED, /* `ended` has been called or is due; the owner has yet to close it */
    SOCKET_CLOSING,
};

/* Where to. Borrowed until the socket has closed. */
struct backend_address {
    const char *host; /* without the brackets of an IPv6 address */
    const char *port; /* digits */
    SSL_CTX *context; /* NULL: no TLS */
};

/* A member of its owner, zeroed before it is opened. All of it is private to backend_socket.c. */
struct backend_socket {
    const struct backend_socket_ops *ops;
    struct turn *turn;
    const struct backend_address *address;
    enum backend_socket_state state;
    unsigned held; /* handles of libuv */
    bool has_tcp;
    bool unwanted;  /* its owner wants no input */
    bool peer_done; /* the backend has ended TLS; what is in `in` comes before that is told */
    enum outbound_result failure;
    char why[128];
    struct timer timer;         /* the time of an address; or a failure is told */
    struct name_lookup *lookup; /* NULL: none is under way */
    uv_connect_t connect;
    uv_tcp_t tcp;
    uv_idle_t again; /* runs while `in` has bytes that the owner wants */
    uv_write_t write;
    struct addrinfo *addresses;
    const struct addrinfo *next; /* to be tried */
    struct tls_stream *tls;
    struct buf in;      /* plaintext that has not been taken */
    struct buf out;     /* written next */
    struct buf writing; /* libuv writes it */
};

void backend_socket_open(struct backend_socket *socket, struct turn *turn, const struct backend_address *address,
                         const struct backend_socket_ops *ops);
/* Once it is open. Writes at once, and keeps what the kernel does not take. Does nothing in a socket that has ended. */
void backend_socket_write(struct backend_socket *socket, struct str bytes);
/* Bytes that the kernel has not taken. */
size_t backend_socket_unsent(const struct backend_socket *socket);
/* No input until it is wanted again. */
void backend_socket_want_input(struct backend_socket *socket, bool wanted);
/* Ends it now. What is unsent is dropped. Only `closed` follows. */
void backend_socket_close(struct backend_socket *socket);

#endif
