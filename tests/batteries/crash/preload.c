/*
 * Stands before the C library, and lets the n-th call on a file fail, or be the
 * process' last. It counts open, lock, write, truncate and flush, on files whose names
 * end as was asked for: those that no SQLite VFS sees.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 4096
#define KILL -1

static char wanted[64];
static int last, how, calls;
static char ours[FILES];

/* Count from now on, on files whose names end in *suffix*; at the n-th call do *what*:
   end the process if it is KILL, else fail with that errno. Nothing at 0. */
void battery_arm(const char *suffix, int n, int what)
{
    strncpy(wanted, suffix, sizeof wanted - 1);
    last = n;
    how = what;
    calls = 0;
}

int battery_calls(void) { return calls; }

static int springs(void)
{
    if (++calls != last)
        return 0;
    if (how == KILL) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = how;
    return 1;
}

static int is_wanted(const char *path)
{
    size_t length = strlen(path), end = strlen(wanted);
    return end && length >= end && !strcmp(path + length - end, wanted);
}

static int opened(int file)
{
    if (file >= 0 && file < FILES)
        ours[file] = 1;
    return file;
}

static int is_ours(int file) { return file >= 0 && file < FILES && ours[file]; }

#define MODE(flags) ({ va_list rest; int mode = 0; if ((flags) & O_CREAT) { \
    va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); } mode; })

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        static int (*next)(const char *, int, ...); \
        int mode = MODE(flags); \
        if (!next) next = dlsym(RTLD_NEXT, #name); \
        if (!is_wanted(path)) { \
            int file = next(path, flags, mode); \
            if (file >= 0 && file < FILES) ours[file] = 0; \
            return file; \
        } \
        return springs() ? -1 : opened(next(path, flags, mode)); \
    }
OPEN(open)
OPEN(open64)

#define LOCK(name) \
    int name(int file, int what, ...) \
    { \
        static int (*next)(int, int, ...); \
        va_list rest; \
        void *argument; \
        va_start(rest, what); argument = va_arg(rest, void *); va_end(rest); \
        if (!next) next = dlsym(RTLD_NEXT, #name); \
        int locks = what == F_SETLK || what == F_OFD_SETLK; \
        return is_ours(file) && locks && springs() ? -1 : next(file, what, argument); \
    }
LOCK(fcntl)
LOCK(fcntl64)

#define CALL(type, name, takes, gives) \
    type name takes \
    { \
        static type (*next) takes; \
        if (!next) next = dlsym(RTLD_NEXT, #name); \
        return is_ours(file) && springs() ? -1 : next gives; \
    }
CALL(ssize_t, write, (int file, const void *data, size_t size), (file, data, size))
CALL(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
CALL(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
CALL(int, ftruncate, (int file, off_t size), (file, size))
CALL(int, ftruncate64, (int file, off64_t size), (file, size))
CALL(int, fsync, (int file), (file))
CALL(int, fdatasync, (int file), (file))
