// The code that runs in the nodes' processes in the place of three functions of the vDSO.
//
// What lies where, from `chaos_clock_stub` on (the constants of `image.rs` say the same):
//     0, 16, 32        the entries of clock_gettime, gettimeofday and time
//     4080, 4088       the addresses of the real clock_gettime and gettimeofday, filled in per process
//     4096             the clock page, shared with the harness and only readable here:
//                      a version, a word that says whether MONOTONIC is asked for, and from byte 64 on two slots of 64 bytes,
//                      each with the law of the wall clocks and, 32 bytes later, that of the monotonic ones:
//                      a true time, what is shown then, and how much faster the clock goes, in 1/2^32
//
// A reader never waits: the slot to use is the version's lowest bit, and that one isn't being written. If the version has
// changed meanwhile it reads both time and law again, so that time and law are always of one version. x86 keeps loads in order.

    .pushsection .rodata.chaos_clock_stub, "a", @progbits
    .balign 16
    .globl chaos_clock_stub
    .hidden chaos_clock_stub
chaos_clock_stub:
.Lcc_stub:
    jmp .Lcc_clock_gettime
    .balign 16
    jmp .Lcc_gettimeofday
    .balign 16
    jmp .Lcc_time

    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    .balign 16
.Lcc_clock_gettime:
    cmp edi, 11
    ja .Lcc_original
    mov eax, 0x821                          // REALTIME, REALTIME_COARSE, TAI
    xor ecx, ecx
    bt eax, edi
    jc .Lcc_shown
    mov eax, 0xd2                           // MONOTONIC, _RAW, _COARSE, BOOTTIME
    bt eax, edi
    jnc .Lcc_original
    cmp qword ptr [rip + .Lcc_stub + 4096 + 8], 0
    je .Lcc_original
    mov ecx, 32
.Lcc_shown:
    push rbx
    push rbp
    push r12
    push r13
    sub rsp, 8
    mov rbx, rsi
    mov ebp, edi
    lea r12, [rip + .Lcc_stub + 4096]
    lea r13, [r12 + rcx + 64]
.Lcc_again:
    mov rax, [r12]
    mov [rsp], rax
    mov edi, ebp
    mov rsi, rbx
    call qword ptr [rip + .Lcc_stub + 4080]
    test eax, eax
    jnz .Lcc_done
    mov rdx, [rsp]
    mov ecx, edx
    and ecx, 1
    shl ecx, 6
    add rcx, r13
    mov r8, [rcx]
    mov r9, [rcx + 8]
    mov r10, [rcx + 16]
    cmp rdx, [r12]
    jne .Lcc_again
    imul rax, qword ptr [rbx], 1000000000
    add rax, [rbx + 8]
    sub rax, r8
    imul r10
    shrd rax, rdx, 32
    add rax, r9
    cqo
    mov ecx, 1000000000
    idiv rcx
    test rdx, rdx
    jns .Lcc_after_1970
    add rdx, rcx
    dec rax
.Lcc_after_1970:
    mov [rbx], rax
    mov [rbx + 8], rdx
    xor eax, eax
.Lcc_done:
    add rsp, 8
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
.Lcc_original:
    jmp qword ptr [rip + .Lcc_stub + 4080]

    // int gettimeofday(struct timeval *rdi, struct timezone *rsi)
    .balign 16
.Lcc_gettimeofday:
    test rsi, rsi
    jz .Lcc_no_zone
    push rdi
    call qword ptr [rip + .Lcc_stub + 4088]
    pop rdi
    test eax, eax
    jnz .Lcc_return
.Lcc_no_zone:
    xor eax, eax
    test rdi, rdi
    jz .Lcc_return
    push rbx
    sub rsp, 16
    mov rbx, rdi
    xor edi, edi
    mov rsi, rsp
    call .Lcc_clock_gettime
    test eax, eax
    jnz .Lcc_no_time
    mov rax, [rsp]
    mov [rbx], rax
    mov rax, [rsp + 8]
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov [rbx + 8], rax
    xor eax, eax
.Lcc_no_time:
    add rsp, 16
    pop rbx
.Lcc_return:
    ret

    // time_t time(time_t *rdi), which the kernel answers from the coarse clock
    .balign 16
.Lcc_time:
    push rbx
    sub rsp, 16
    mov rbx, rdi
    mov edi, 5
    mov rsi, rsp
    call .Lcc_clock_gettime
    mov rax, [rsp]
    test rbx, rbx
    jz .Lcc_no_place
    mov [rbx], rax
.Lcc_no_place:
    add rsp, 16
    pop rbx
    ret

    .globl chaos_clock_stub_end
    .hidden chaos_clock_stub_end
chaos_clock_stub_end:
    .popsection
