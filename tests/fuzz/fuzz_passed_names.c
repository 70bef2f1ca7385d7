/* fuzz_passed_names.c - LISTEN_FDS and LISTEN_FDNAMES, set by systemd or another program that starts ours: "COUNT
 * NAME NAMES". A parameter that is found must have that name and be among those that were passed. */
#include <stdlib.h>

#include "server/net/http/listen_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { MAX = 4, FIRST = 3 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct str nth(struct str names, int n)
{
    struct str name = str_split(&names, ':');
    while (n-- > 0)
        name = names.ptr ? str_split(&names, ':') : STR("");
    return name;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = str_from((const char *)bytes, len);
    struct str passed = str_split(&rest, ' ');
    struct str name = rest.ptr ? str_split(&rest, ' ') : STR("");
    struct str names = rest.ptr ? rest : STR("");
    int fds[MAX], last = 0;
    size_t count = listen_sockets_named(passed, names, name, fds, MAX);
    uint64_t all = 0;
    require(count <= MAX && (count == 0 || str_to_u64(passed, &all)));
    for (size_t i = 0; i < count; i++) {
        require(fds[i] >= FIRST && (uint64_t)(fds[i] - FIRST) < all && fds[i] > last);
        last = fds[i];
        if (names.len > 0)
            require(str_eq(nth(names, fds[i] - FIRST), name));
    }
    return 0;
}
