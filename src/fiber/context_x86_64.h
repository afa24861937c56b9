/* SPDX-License-Identifier: MIT */
/*
 * The way into context_x86_64.S: a jump, not a call. A call would leave its return address on top
 * of the processor's return stack, and every `ret` after the switch, on whichever stack, would be
 * predicted one frame wrong; so the return address is pushed by hand. Thus a yield costs a third.
 *
 * To the compiler it is a call nonetheless: all registers that a call may change are declared as
 * changed, and the 128 bytes below the stack pointer (the red zone, ABI section 3.2.2) are left
 * alone.
 */
#ifndef FIBER_CONTEXT_X86_64_H
#define FIBER_CONTEXT_X86_64_H

#if defined(__AVX512F__)
#define CONTEXT_AVX512                                                                             \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define CONTEXT_AVX512
#endif

__attribute__((always_inline)) static inline void context_switch(struct context *from,
                                                                 const struct context *to)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "leaq 1f(%%rip), %%rcx\n\t"
                     "pushq %%rcx\n\t"
                     "jmp context_x86_64_switch\n"
                     "1:\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
                       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                       "st(5)", "st(6)", "st(7)", "memory", "cc" CONTEXT_AVX512);
}

#endif
