/* uv_handle.h - any handle of libuv as its base type. */
#ifndef CARILLON_BASE_UV_HANDLE_H
#define CARILLON_BASE_UV_HANDLE_H

#include <uv.h>

/* In place of a cast: a pointer to anything else than a handle does not compile. */
#define UV_HANDLE(handle)                                                                                              \
    _Generic((handle), uv_async_t *                                                                                    \
             : (uv_handle_t *)(handle), uv_check_t *                                                                   \
             : (uv_handle_t *)(handle), uv_idle_t *                                                                    \
             : (uv_handle_t *)(handle), uv_poll_t *                                                                    \
             : (uv_handle_t *)(handle), uv_prepare_t *                                                                 \
             : (uv_handle_t *)(handle), uv_signal_t *                                                                  \
             : (uv_handle_t *)(handle), uv_tcp_t *                                                                     \
             : (uv_handle_t *)(handle), uv_timer_t *                                                                   \
             : (uv_handle_t *)(handle))

#endif
