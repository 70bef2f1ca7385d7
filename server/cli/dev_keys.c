/* dev_keys.c - see dev_keys.h. Several servers may start in one folder at the same time: a file with a key appears
 * whole, and the first one stays. */
#include "server/cli/dev_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/random.h"

enum { KEY_BYTES = 24, KEY_MIN = 32 };

static void draw_key(char out[DEV_KEY_MAX + 1])
{
    unsigned char key[KEY_BYTES];
    random_bytes(key, sizeof key);
    for (size_t i = 0; i < sizeof key; i++)
        snprintf(out + 2 * i, 3, "%02x", key[i]);
}

/* Writes all or nothing. False: errno says why. */
static bool write_file(int folder, const char *name, const char *text)
{
    size_t len = strlen(text);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = write(fd, text, len) == (ssize_t)len;
    good = close(fd) == 0 && good;
    if (!good)
        unlinkat(folder, name, 0);
    return good;
}

/* The folder, or below 0 where it cannot be written: then *unkept says why. */
static int open_folder(struct error *unkept)
{
    struct stat seen;
    if (mkdir(DEV_FOLDER, 0700) != 0 && errno != EEXIST) {
        error_set(unkept, ERR_UNAVAILABLE, "cannot make %s: %s", DEV_FOLDER, strerror(errno));
        return -1;
    }
    int folder = open(DEV_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &seen) != 0) {
        error_set(unkept, ERR_UNAVAILABLE, "cannot open %s: %s", DEV_FOLDER, strerror(errno));
    } else if (seen.st_uid != geteuid()) {
        error_set(unkept, ERR_UNAVAILABLE, "%s belongs to another user", DEV_FOLDER);
    } else if ((seen.st_mode & 077) && fchmod(folder, 0700) != 0) {
        error_set(unkept, ERR_UNAVAILABLE, "cannot change the mode of %s: %s", DEV_FOLDER, strerror(errno));
    } else {
        write_file(folder, ".gitignore", "*\n"); /* it may be there already */
        return folder;
    }
    if (folder >= 0)
        close(folder);
    return -1;
}

/* ERR_NOT_FOUND: there is no such file. */
static enum err read_key(int folder, const char *name, char out[DEV_KEY_MAX + 1], struct error *error)
{
    struct stat seen;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID_REQUEST, "cannot open %s/%s: %s",
                         DEV_FOLDER, name, strerror(errno));
    bool is_own = fstat(fd, &seen) == 0 && S_ISREG(seen.st_mode) && seen.st_uid == geteuid();
    if (is_own && (seen.st_mode & 077))
        is_own = fchmod(fd, 0600) == 0;
    ssize_t len = is_own ? read(fd, out, DEV_KEY_MAX + 1) : -1;
    close(fd);
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r'))
        len--;
    bool good = len >= KEY_MIN && len <= DEV_KEY_MAX;
    for (ssize_t i = 0; good && i < len; i++)
        good = out[i] > 0x20 && out[i] < 0x7F;
    if (!good)
        return error_set(
            error, ERR_INVALID_REQUEST,
            "%s/%s: a file of your own with %d to %d visible ASCII characters is expected; --fresh draws a "
            "new key",
            DEV_FOLDER, name, KEY_MIN, DEV_KEY_MAX);
    out[len] = '\0';
    return ERR_NONE;
}

/* Puts a drawn key into the file: over the present one, or only if there is none. False: errno says why. */
static bool keep_key(int folder, const char *name, const char *key, bool over)
{
    char draft[64], line[DEV_KEY_MAX + 2];
    snprintf(draft, sizeof draft, ".%s.%ld", name, (long)getpid());
    snprintf(line, sizeof line, "%s\n", key);
    unlinkat(folder, draft, 0); /* of a process with the same number that died here */
    if (!write_file(folder, draft, line))
        return false;
    bool kept = over ? renameat(folder, draft, folder, name) == 0 : linkat(folder, draft, folder, name, 0) == 0;
    int why = errno;
    if (!over || !kept)
        unlinkat(folder, draft, 0);
    errno = why;
    return kept;
}

static enum err load_key(int folder, const char *name, bool fresh, char out[DEV_KEY_MAX + 1], struct error *unkept,
                         struct error *error)
{
    enum err err = fresh ? ERR_NOT_FOUND : read_key(folder, name, out, error);
    if (err != ERR_NOT_FOUND)
        return err;
    draw_key(out);
    if (keep_key(folder, name, out, fresh))
        return ERR_NONE;
    if (errno == EEXIST) /* another server was faster */
        return read_key(folder, name, out, error);
    error_set(unkept, ERR_UNAVAILABLE, "cannot write %s/%s: %s", DEV_FOLDER, name, strerror(errno));
    return ERR_NONE;
}

enum err dev_keys_load(bool fresh, struct dev_keys *out, struct error *out_unkept, struct error *error)
{
    *out_unkept = (struct error){0};
    int folder = open_folder(out_unkept);
    if (folder < 0) {
        draw_key(out->token_secret);
        draw_key(out->api_key);
        return ERR_NONE;
    }
    enum err err = load_key(folder, "token-secret", fresh, out->token_secret, out_unkept, error);
    if (err == ERR_NONE)
        err = load_key(folder, "api-key", fresh, out->api_key, out_unkept, error);
    close(folder);
    return err;
}
