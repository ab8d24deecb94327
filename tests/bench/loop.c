/* The reference of `make bench`: signs as fast as the module allows, with nothing around it.
 *
 *   loop MODULE TOKEN-LABEL PIN-FILE KEY-LABEL rsa|ec [PUBLIC-KEY.pem]
 *
 * Logs in, finds the private key, prints "ready". Then one answer for each line on standard input, until its end:
 *
 *   SECONDS       signs for that long, one C_SignInit and one C_Sign a signature; prints "COUNT SECONDS"
 *   median COUNT  signs so many; prints "COUNT SECONDS", the seconds being the median of one
 *
 * With a public key each signature is verified as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "token.h"
#include "verify.h"

static int verifies;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sign(long number)
{
    unsigned char signature[1024];
    size_t length = sizeof signature;
    const unsigned char *digest = token_sign(number, signature, &length);
    if (verifies && !verify_signature(digest, signature, length)) {
        fprintf(stderr, "loop: a signature does not verify\n");
        exit(1);
    }
}

static void sign_for(double seconds)
{
    double began = now(), passed;
    long made = 0;
    do {
        sign(made++);
        passed = now() - began;
    } while (passed < seconds);
    printf("%ld %f\n", made, passed);
}

static int ascending(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static void sign_one_by_one(long count)
{
    static double took[100000];
    long number;
    count = count < 1 ? 1 : count > 100000 ? 100000 : count;
    for (number = 0; number < count; number++) {
        double began = now();
        sign(number);
        took[number] = now() - began;
    }
    qsort(took, count, sizeof *took, ascending);
    printf("%ld %.9f\n", count, took[count / 2]);
}

int main(int count, char **argument)
{
    char line[64];
    int rsa;

    if (count != 6 && count != 7) {
        fprintf(stderr, "usage: loop MODULE TOKEN-LABEL PIN-FILE KEY-LABEL rsa|ec [PUBLIC-KEY.pem]\n");
        return 2;
    }
    rsa = strcmp(argument[5], "rsa") == 0;
    verifies = count == 7;
    if (verifies && !verify_open(argument[6], rsa)) {
        fprintf(stderr, "loop: no libcrypto, or no public key in %s\n", argument[6]);
        return 1;
    }
    token_open(argument[1], argument[2], argument[3], argument[4], rsa);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strncmp(line, "median ", 7) == 0)
            sign_one_by_one(atol(line + 7));
        else
            sign_for(atof(line));
        fflush(stdout);
    }
    return 0;
}
