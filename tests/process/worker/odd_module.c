/* A module in front of SoftHSM2 that misbehaves as ODD says: words separated by commas. No header is needed: the
   function list is a version and an array of pointers, and CK_ULONG is `unsigned long`. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long rv;
struct list { unsigned char version[2]; void *function[68]; };
static struct list ours, *theirs;

static int odd(const char *word) { const char *all = getenv("ODD"); return all && strstr(all, word); }

static rv initialize(void *args) {
  unsigned long flags = args ? *(unsigned long *)((void **)args + 4) : 0;
  if (odd("cant-lock") && (flags & 2)) return 0x0A;
  if (odd("noisy")) { printf("the module says hello\n"); fflush(stdout); write(1, "again\n", 6); }
  return ((rv (*)(void *))theirs->function[0])(args);
}
static rv get_slot_info(unsigned long slot, void *info) {
  if (odd("bad-slot") && slot == 1) return 0x30;
  return ((rv (*)(unsigned long, void *))theirs->function[5])(slot, info);
}
static rv open_session(unsigned long slot, unsigned long flags, void *app, void *notify, unsigned long *session) {
  static int opened;
  if (odd("two-sessions") && opened++ >= 2) return 0xB1;
  return ((rv (*)(unsigned long, unsigned long, void *, void *, unsigned long *))theirs->function[12])(
      slot, flags, app, notify, session);
}
static rv get_token_info(unsigned long slot, void *info) {
  rv result = ((rv (*)(unsigned long, void *))theirs->function[6])(slot, info);
  unsigned long *flags = (unsigned long *)((char *)info + 96);
  if (result == 0 && odd("count-low")) *flags |= 0x10000;
  if (result == 0 && odd("final-try")) *flags |= 0x20000;
  if (result == 0 && odd("locked")) *flags |= 0x40000;
  return result;
}
static rv login(unsigned long session, unsigned long user, void *pin, unsigned long length) {
  fprintf(stderr, "C_Login\n");
  if (odd("answers-length")) return 0xA2;
  if (odd("answers-lock")) return 0xA4;
  return ((rv (*)(unsigned long, unsigned long, void *, unsigned long))theirs->function[18])(
      session, user, pin, length);
}
static rv sign(unsigned long session, void *data, unsigned long size, unsigned char *out, unsigned long *length) {
  if (odd("hang")) for (;;) pause();
  if (odd("device-error")) return 0x30;
  rv result = ((rv (*)(unsigned long, void *, unsigned long, unsigned char *, unsigned long *))theirs->function[43])(
      session, data, size, out, length);
  if (result == 0 && odd("wrong")) out[0] ^= 1;
  return result;
}

rv C_GetFunctionList(struct list **list) {
  void *library = dlopen(getenv("ODD_MODULE"), RTLD_NOW);
  rv (*get)(struct list **) = library ? (rv (*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
  if (!get || get(&theirs)) return 5;
  ours = *theirs;
  ours.function[0] = initialize;
  ours.function[5] = get_slot_info;
  ours.function[6] = get_token_info;
  ours.function[12] = open_session;
  ours.function[18] = login;
  ours.function[43] = sign;
  *list = &ours;
  return 0;
}
