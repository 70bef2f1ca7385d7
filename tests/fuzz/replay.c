/* replay.c - runs a fuzz target once over each file of its corpus, so that every ordinary test run
 * covers what fuzzing has found. Usage: fuzz_NAME FOLDER */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    fseek(file, 0, SEEK_END);
    long len = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(len > 0 ? (size_t)len : 1);
    size_t got = bytes ? fread(bytes, 1, (size_t)len, file) : 0;
    fclose(file);
    if (!bytes || got != (size_t)len) {
        fprintf(stderr, "%s: cannot read\n", path);
        free(bytes);
        return 1;
    }
    LLVMFuzzerTestOneInput(bytes, got);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER (cannot open %s)\n", argv[0], argc == 2 ? argv[1] : "it");
        return 2;
    }
    size_t count = 0;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        failed |= replay_file(path);
        count++;
    }
    closedir(dir);
    printf("%zu corpus files replayed\n", count);
    return failed || count == 0;
}
