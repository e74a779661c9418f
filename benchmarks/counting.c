/*
 * Counts what a process asks of its disk and its memory.
 *
 * Preloaded, it stands before fsync and fdatasync. `count_allocations` puts a counter
 * before Python's allocators of objects and of their memory. The interpreter's lock
 * guards those counters; the flushes come from any thread.
 */
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *place, size_t size);
    void (*free)(void *ctx, void *place);
} Allocator; /* PyMemAllocatorEx */

typedef void (*Exchange)(int domain, Allocator *allocator);

static long flushes, allocations;
static Allocator before[3];

long flushes_so_far(void) { return __atomic_load_n(&flushes, __ATOMIC_SEQ_CST); }
long allocations_so_far(void) { return allocations; }

int fsync(int file) {
    __atomic_add_fetch(&flushes, 1, __ATOMIC_SEQ_CST);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    __atomic_add_fetch(&flushes, 1, __ATOMIC_SEQ_CST);
    return (int)syscall(SYS_fdatasync, file);
}

static void *counted_malloc(void *ctx, size_t size) {
    Allocator *inner = ctx;
    allocations++;
    return inner->malloc(inner->ctx, size);
}

static void *counted_calloc(void *ctx, size_t count, size_t size) {
    Allocator *inner = ctx;
    allocations++;
    return inner->calloc(inner->ctx, count, size);
}

static void *passed_realloc(void *ctx, void *place, size_t size) {
    Allocator *inner = ctx;
    return inner->realloc(inner->ctx, place, size);
}

static void passed_free(void *ctx, void *place) {
    Allocator *inner = ctx;
    inner->free(inner->ctx, place);
}

void count_allocations(Exchange get, Exchange set) {
    for (int domain = 1; domain <= 2; domain++) { /* memory, objects */
        Allocator counted = {&before[domain], counted_malloc, counted_calloc, passed_realloc,
                             passed_free};
        get(domain, &before[domain]);
        set(domain, &counted);
    }
}
