/* A logged-in session with one key, by PKCS #11 alone; the numbers are those of v2.40. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "token.h"

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
static int is_rsa;

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

void token_open(char *path, char *label, char *pin_file, char *key_label, int rsa)
{
    CK_ULONG (*get_function_list)(CK_FUNCTION_LIST **);
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL || (*(void **)&get_function_list = dlsym(library, "C_GetFunctionList")) == NULL) {
        fprintf(stderr, "loop: %s\n", dlerror());
        exit(1);
    }
    must(get_function_list(&module), "C_GetFunctionList");
    must(module->function[INITIALIZE](NULL), "C_Initialize");
    log_in(label, pin_file);
    key = find_key(session, key_label);
    is_rsa = rsa;
}

const unsigned char *token_sign(long number, unsigned char *signature, size_t *length)
{
    CK_MECHANISM mechanism = {is_rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
    unsigned char *digest = info + 19;
    CK_ULONG room = *length;
    memcpy(digest, &number, sizeof number);
    must(module->function[SIGN_INIT](session, &mechanism, key), "C_SignInit");
    must(module->function[SIGN](session, is_rsa ? info : digest, (CK_ULONG)(is_rsa ? sizeof info : 32), signature, &room),
         "C_Sign");
    *length = room;
    return digest;
}
