// Package faults is the fault matrix: every fault that rolecall must survive,
// with what it promises then and the number that shows it. Its tests bring each
// fault about, measure, and hold the number; docs/reliability.md is made of
// what they measured.
package faults

// Row is one fault.
type Row struct {
	N       int
	Fault   string
	Promise string
	Reach   string // the number to reach

	LeftOut string // why no test reaches it; "": one does
	Missed  string // why the number is not reached although there is a test; "": it is
}

const (
	withIMDS = "concerns the metadata endpoint, whose own tests (test/attack, test/clients, internal/linklocal) try it"
)

// In is the package whose tests measure the row: what concerns the store is
// measured where its insides can be got at.
func (r Row) In() string {
	switch {
	case r.N == 4 || r.N == 25:
		return "test/process"
	case r.N >= 23 && r.N <= 31 || r.N >= 41 && r.N <= 45:
		return "internal/store"
	}
	return "test/faults"
}

// Matrix lists all rows in the order of their numbers.
func Matrix() []Row {
	return []Row{
		{1, "upstream refuses connections while a set is held", "the held set is served, with back-off behind it", "0 of 10,000 reads fail; ≤ 22 attempts in 10 min", "", ""},
		{2, "upstream is a black hole (connects, says nothing)", "the attempt ends; warm reads do not notice", "attempt ≤ 10 s; p99 of warm reads +≤ 1 ms", "", ""},
		{3, "upstream is down at a cold start", "503 with Retry-After and a JSON body, never 404 or an empty 200", "answer ≤ 5 s; first success ≤ 2 s after upstream is back, if it was down ≤ 10 s", "", ""},
		{4, "upstream is down at the start, with a valid disk cache", "served from the cache at once", "first 200 ≤ 250 ms after exec", "", ""},
		{5, "upstream takes 3 s, 1,000 concurrent cold requests", "one call, shared by all", "1 call; 1,000 of 1,000 get 200; max ≤ 4 s", "", ""},
		{6, "1,000 concurrent first requests, upstream takes 200 ms", "one call", "1 call; p99 ≤ 800 ms; 0 errors", "", ""},
		{7, "clients leave in the middle of the fetch", "it goes on, the next reader gets its fruit", "1 call; 0 cancelled upstream; next read ≤ 5 ms", "", ""},
		{8, "429, Throttling or SlowDown, with Retry-After: 30", "it is honoured; the held set is served", "0 calls within 30 s; Retry-After capped at 300 s", "", ""},
		{9, "503 for an hour, then fine", "back-off with jitter", "≤ 95 attempts in 1 h per slot; recovered ≤ 60 s after", "", ""},
		{10, "upstream hands out credentials that have ended", "refused and counted, the old set kept", "0 expired served; metric +1; next try by back-off", "", ""},
		{11, "upstream hands out credentials that live 30 s", "served while nothing is better, without a hot loop", "≤ 1 call / 10 s; life left when served > 0", "", ""},
		{12, "truncated JSON, HTML, wrong types, empty keys, Code other than Success", "refused, the old set kept", "0 empty or partial 200s; 0 panics", "", ""},
		{13, "10 MB answers: plain, chunked, gzip bomb", "read up to a cap, then failed", "≤ 64 KiB of a body read; RSS +≤ 2 MiB; gzip off", "", ""},
		{14, "upstream drips 1 B/s", "a deadline for the whole attempt", "given up ≤ 10 s", "", ""},
		{15, "upstream redirects elsewhere", "not followed", "0 requests to the target", "", ""},
		{16, "AccessDenied on refresh", "the second denial ≥ 60 s later drops the set; no storm", "dropped ≤ 120 s after the first; then ≤ 1 call / 5 min, and 1 per explicit refresh", "", ""},
		{17, "the sign-in has ended, or MFA is needed, in the background", "no prompt, no browser; login_required shown; the held set served", "0 prompts; shown ≤ 1 s", "", ""},
		{18, "wall clock steps 1 h ahead", "no refresh loop; lifetime by upstream's Date", "≤ 2 calls in the next 10 min; 0 failed reads", "", ""},
		{19, "wall clock steps 1 h back", "the boot clock still ends the set", "0 reads served past the true end", "", ""},
		{20, "8 h of sleep", "noticed, refreshed before anything ended is served", "noticed ≤ 15 s; a read at +0 s gets a fresh set or 503; 1 call per slot", "", ""},
		{21, "5 min of sleep with 30 min left", "no needless refresh", "0 further calls", "", ""},
		{22, "SIGSTOP for 60 s, then SIGCONT", "as a short sleep", "0 failed reads from 1 s after SIGCONT", "", ""},
		{23, "SIGKILL while the cache is written", "old file or new, never torn", "0 unreadable in 1,000 kills", "", ""},
		{24, "disk full, or I/O errors", "served from memory, one warning a minute", "0 failed reads", "", ""},
		{25, "cache directory read-only or absent", "memory only", "ready ≤ 250 ms", "", ""},
		{26, "cache file or directory open to others, or another's", "not read", "0 bytes used", "", ""},
		{27, "corrupt cache", "a miss, set aside, fetched anew", "healed in 1 fetch; 0 panics", "", ""},
		{28, "two processes refresh one key", "one call", "≤ 1 call per round in 200 rounds", "", ""},
		{29, "50 processes start cold together", "one call", "1 call; all ready ≤ 3 s", "", ""},
		{30, "holder of the lock is killed", "the kernel frees it", "the next proceeds ≤ 50 ms", "", ""},
		{31, "holder of the lock hangs", "a bounded wait, then alone", "wait ≤ 5 s; ≤ 2 calls", "", ""},
		{32, "the aws CLI rewrites its sign-in cache meanwhile", "read again before signed out is said", "0 false login_required in 200 rounds", "", ""},
		{33, "slowloris: 2,000 connections at 1 B/s", "closed; others not affected", "all closed ≤ 6 s; p99 of warm reads ≤ 20 ms meanwhile", "", ""},
		{34, "10,000 idle keep-alive connections", "a cap; the oldest idle one makes room", "≤ 4,096 held; RSS ≤ 128 MiB; new client served ≤ 50 ms", "", ""},
		{35, "file descriptors run out (RLIMIT_NOFILE 64)", "recovers, does not end, keeps some for upstream", "0 exits; serves ≤ 2 s after release; refreshes with clients at the cap", "", ""},
		{36, "10 MB request body, 1 MB header, 100,000-character URL", "refused and cut", "header cap 16 KiB; no body with GET; RSS +≤ 1 MiB", "", ""},
		{37, "pipelining, smuggling (CL and TE), HTTP/0.9, CONNECT", "refused", "0 credentials to 40 raw requests; 0 panics", "", ""},
		{38, "a client that never reads", "a deadline for writing", "goroutine freed ≤ 10 s", "", ""},
		{39, "reload of a bad configuration", "all or nothing; the old one stays; the line is told", "0 of 10,000 reads fail over 20 bad reloads; told ≤ 1 s; running configuration unchanged", "", ""},
		{40, "reload that takes a profile out", "its credentials are dropped", "gone ≤ 1 s; absent from memory and disk", "",
			"memory that Go frees is not wiped until it is used again, and a program cannot wipe its strings (runtime/secret is an experiment); until then core dumps, ptrace and, where memory may be locked, swap are closed to it"},
		{41, "Redis or Valkey refuses", "local only", "warm +0 ms; cold +≤ 5 ms", "", ""},
		{42, "Redis is a black hole, or 5 s slow", "a hard deadline", "+≤ 300 ms on one cold read", "", ""},
		{43, "Redis partition in the middle of a lock", "the lock lapses", "wait ≤ 2 s; ≤ 1 call per node", "", ""},
		{44, "Redis hands back a forged, old or cut value", "refused", "0 of 100,000 mutations accepted", "", ""},
		{45, "Redis FLUSHALL, eviction or restart under 100 daemons", "refilled under the lock", "≤ 3 calls per key", "", ""},
		{46, "a fleet of 100 with one expiry", "refreshes are spread", "busiest 1 % of the life holds ≤ 22 % of the refreshes", "", ""},
		{47, "SIGTERM with 500 requests under way", "no new ones; they finish; then the end", "0 lost; exit ≤ 5 s; a second SIGTERM ≤ 100 ms", "", ""},
		{48, "restarts under systemd's socket activation", "the listener is kept", "0 of 10,000 requests fail over 20 restarts", "", ""},
		{49, "a handler panics, a source panics", "500, the others go on, no secret in the trace", "process alive; 0 canaries in what is written", "", ""},
		{50, "secrets planted in every path", "none in logs of any level, metrics, errors, argv, children's environment, crash output", "0 found over ≥ 500 scenarios", "", ""},
		{51, "credential_process hangs, forks, floods", "its group is killed; its output capped", "killed ≤ 60 s; 64 KiB; 0 zombies", "", ""},
		{52, "DNS of upstream is slow, or says NXDOMAIN", "as upstream being down", "attempt ≤ 10 s; warm reads not affected", "", ""},
		{53, "10,000 IMDS tokens taken by one client", "others' stay valid", "0 evicted; RSS +≤ 1 MiB", withIMDS, ""},
		{54, "daemon restarts under a client with an old IMDS token", "401, and SDKs take a new one", "0 errors that an application sees", withIMDS, ""},
		{55, "the address 169.254.x.x is taken away", "added again, or said", "≤ 5 s", withIMDS, ""},
		{56, "the application starts before the daemon", "refused or 503 while loading, never another identity", "0 answers for another role; never 404", "", ""},
		{57, "24 h, 50 profiles, faults on", "nothing grows", "goroutines ±5; descriptors ±2; RSS ≤ 1 MiB/h; 0 expired served", "", ""},
		{58, "the race detector over these rows", "silent", "0 reports", "", ""},
		{59, "10,000 short-lived processes on an EC2 instance", "one round of questions to the metadata service per refresh", "0 without credentials; 1 token in 6 h, and 2 requests per refresh", "", ""},
		{60, "the metadata service throttles, is late, hangs, resets, drips, answers with garbage or with keys that have ended, loses the role", "the held set is served; the cause is told", "0 reads fail; attempt ≤ 10 s", "", ""},
		{61, "the metadata service forgets its tokens, or refuses to give one and then heals", "a new token within the same attempt; never IMDSv1 unless it is allowed", "0 refreshes lost; 0 reads fail", "", ""},
	}
}
