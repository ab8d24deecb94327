/* The reference of `make bench`: signs as fast as the module allows, with nothing around it.
 *
 *   loop MODULE TOKEN-LABEL PIN-FILE KEY-LABEL rsa|ec [PUBLIC-KEY.pem]
 *
 * Logs in, finds the private key, prints "ready". Then one answer for each line on standard input, until its end:
 *
 *   SECONDS       signs for that long, one C_SignInit and one C_Sign a signature; prints "COUNT SECONDS"
 *   median COUNT  signs so many; prints "COUNT SECONDS", the seconds being the median of one
 *
 * With a public key each signature is verified as well. Numbers are those of PKCS #11 v2.40.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "verify.h"

typedef unsigned long CK_ULONG;
typedef struct { CK_ULONG type; void *value; CK_ULONG length; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *parameter; CK_ULONG length; } CK_MECHANISM;
typedef struct { unsigned char version[2]; CK_ULONG (*function[68])(); } CK_FUNCTION_LIST;

enum { INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18,
       FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27, FIND_OBJECTS_FINAL = 28, SIGN_INIT = 42, SIGN = 43 };
enum { CKO_PRIVATE_KEY = 3, CKA_CLASS = 0, CKA_LABEL = 3, CKM_RSA_PKCS = 1, CKM_ECDSA = 0x1041, CKF_SERIAL_SESSION = 4 };

static CK_FUNCTION_LIST *module;

static void must(CK_ULONG rv, const char *what)
{
    if (rv != 0) {
        fprintf(stderr, "loop: %s: CKR 0x%lx\n", what, rv);
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static CK_ULONG find_slot(const char *label)
{
    CK_ULONG slots[64], count = 64, index;
    unsigned char info[512];
    must(module->function[GET_SLOT_LIST]((unsigned char)1, slots, &count), "C_GetSlotList");
    for (index = 0; index < count; index++)
        if (module->function[GET_TOKEN_INFO](slots[index], info) == 0 && memcmp(info, label, strlen(label)) == 0
            && (strlen(label) == 32 || info[strlen(label)] == ' '))
            return slots[index];
    fprintf(stderr, "loop: no token %s\n", label);
    exit(1);
}

static CK_ULONG find_key(CK_ULONG session, char *label)
{
    CK_ULONG class = CKO_PRIVATE_KEY, key = 0, found = 0;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, label, strlen(label)}};
    must(module->function[FIND_OBJECTS_INIT](session, wanted, (CK_ULONG)2), "C_FindObjectsInit");
    must(module->function[FIND_OBJECTS](session, &key, (CK_ULONG)1, &found), "C_FindObjects");
    must(module->function[FIND_OBJECTS_FINAL](session), "C_FindObjectsFinal");
    if (found != 1) {
        fprintf(stderr, "loop: no key %s\n", label);
        exit(1);
    }
    return key;
}

/* DigestInfo of SHA-256 (RFC 8017, section 9.2, note 1), then 32 octets of digest. */
static unsigned char info[51] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static CK_ULONG session, key;
static int is_rsa, verifies;

static void sign(long number)
{
    CK_MECHANISM mechanism = {is_rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
    unsigned char signature[1024];
    CK_ULONG length = sizeof signature;
    memcpy(info + 19, &number, sizeof number);
    must(module->function[SIGN_INIT](session, &mechanism, key), "C_SignInit");
    must(module->function[SIGN](session, is_rsa ? info : info + 19, (CK_ULONG)(is_rsa ? sizeof info : 32), signature,
                                &length), "C_Sign");
    if (verifies && !verify_signature(info + 19, signature, length)) {
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

static void log_in(char *label, char *pin_file)
{
    char pin[256] = "";
    FILE *file = fopen(pin_file, "r");
    if (file == NULL || fgets(pin, sizeof pin, file) == NULL) {
        fprintf(stderr, "loop: no PIN in %s\n", pin_file);
        exit(1);
    }
    fclose(file);
    pin[strcspn(pin, "\r\n")] = 0;
    must(module->function[OPEN_SESSION](find_slot(label), (CK_ULONG)CKF_SERIAL_SESSION, NULL, NULL, &session),
         "C_OpenSession");
    must(module->function[LOGIN](session, (CK_ULONG)1, pin, (CK_ULONG)strlen(pin)), "C_Login");
}

int main(int count, char **argument)
{
    char line[64];
    CK_ULONG (*get_function_list)(CK_FUNCTION_LIST **);
    void *library;

    if (count != 6 && count != 7) {
        fprintf(stderr, "usage: loop MODULE TOKEN-LABEL PIN-FILE KEY-LABEL rsa|ec [PUBLIC-KEY.pem]\n");
        return 2;
    }
    is_rsa = strcmp(argument[5], "rsa") == 0;
    verifies = count == 7;
    if (verifies && !verify_open(argument[6], is_rsa)) {
        fprintf(stderr, "loop: no libcrypto, or no public key in %s\n", argument[6]);
        return 1;
    }
    library = dlopen(argument[1], RTLD_NOW);
    if (library == NULL || (*(void **)&get_function_list = dlsym(library, "C_GetFunctionList")) == NULL) {
        fprintf(stderr, "loop: %s\n", dlerror());
        return 1;
    }
    must(get_function_list(&module), "C_GetFunctionList");
    must(module->function[INITIALIZE](NULL), "C_Initialize");
    log_in(argument[2], argument[3]);
    key = find_key(session, argument[4]);
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
