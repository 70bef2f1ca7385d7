/* outlet_kind.c - see outlet_kind.h. */
#include "bench/load/outlet_kind.h"

void outlet_accept(struct outlet *outlet, size_t connection, size_t events)
{
    outlet->under_way -= events < outlet->under_way ? events : outlet->under_way;
    if (outlet->on_accepted)
        outlet->on_accepted(outlet->owner, connection, events);
}

void outlet_refuse(struct outlet *outlet, const char *how, struct str words)
{
    if (!outlet->failed)
        error_set(&outlet->error, ERR_UNAVAILABLE, "an event was refused (%s): %.*s", how, STR_ARG(words));
    outlet->failed = true;
}
