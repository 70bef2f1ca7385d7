/* bell.c - see bell.h. The simulator has its own. */
#include "common/base/bell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/uv_handle.h"

/* The wake-up itself brings the end of a turn, where mail is delivered. */
static void on_ring(uv_poll_t *poll, int status, int events)
{
    eventfd_t rings;
    (void)status;
    (void)events;
    (void)eventfd_read(((struct bell *)poll->data)->fd, &rings);
}

void bell_init(struct bell *bell, uv_loop_t *loop)
{
    bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell->fd < 0 || uv_poll_init(loop, &bell->poll, bell->fd) != 0) {
        log_error("loop", "no descriptor by which threads wake each other: %s", strerror(errno));
        abort();
    }
    bell->poll.data = bell;
    uv_poll_start(&bell->poll, UV_READABLE, on_ring);
}

void bell_ring(struct bell *bell)
{
    (void)eventfd_write(bell->fd, 1);
}

void bell_close(struct bell *bell)
{
    uv_poll_stop(&bell->poll);
    uv_close(UV_HANDLE(&bell->poll), NULL);
    close(bell->fd);
}
