/* SPDX-License-Identifier: MIT */
/*
 * The context switch for x86-64 (System V ABI, section 3.2.1: rbx, rbp, r12 to r15, the control
 * bits of MXCSR and the x87 control word belong to the caller). A context that does not run is a
 * stack pointer to
 *
 *     0 MXCSR   4 x87 control word   8 r15   16 r14   24 r13   32 r12   40 rbx   48 rbp   56 rip
 *
 * which context_make (context_x86_64.c) and scripts/gdb/leat.py know too. It is jumped to by
 * context_x86_64.h, with the return address on the stack and `from` and `to` in rdi and rsi, and it
 * ends in a jump and not in `ret`: the return stack predictor knows only the way back into the flow
 * we leave, and the miss costs as much as everything else here.
 *
 * No .note.gnu.property: a shadow stack (CET) cannot follow a jump between stacks, so this object
 * must not claim that it does; the linker then leaves CET off for the whole program.
 */
        .text
        .globl  context_x86_64_switch
        .hidden context_x86_64_switch
        .type   context_x86_64_switch, @function
        .p2align 5
context_x86_64_switch:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)

        movq    %rsp, (%rdi)
        movq    (%rsi), %rsp    /* from here on the other's frame, of the same shape */

        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        jmp     *%rcx
        .cfi_endproc
        .size   context_x86_64_switch, . - context_x86_64_switch

/* Where a new context begins, after the nop: r12 is its entry, r13 the argument. It has no caller,
 * and says so to whoever unwinds; who does looks at the byte before a return address. */
        .globl  context_begin
        .hidden context_begin
        .type   context_begin, @function
        .p2align 4
context_begin:
        .cfi_startproc
        .cfi_undefined %rip
        .cfi_undefined %rbp
        nop
        movq    %r13, %rdi
        callq   *%r12
        ud2                             /* an entry never returns */
        .cfi_endproc
        .size   context_begin, . - context_begin

        .section .note.GNU-stack, "", @progbits
