/* tcp_received.c - see tcp_received.h. */
#include "server/net/tcp_received.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool tcp_received(int fd, uint64_t *out)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    int unread = 0;
    /* In this order: what comes in between counts as not read. */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || ioctl(fd, FIONREAD, &unread) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return false;
    uint64_t came = info.tcpi_bytes_received;
    *out = came > (uint64_t)unread ? came - (uint64_t)unread : 0;
    return true;
}
