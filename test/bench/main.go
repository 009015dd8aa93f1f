// Command bench measures rolecall beside a baseline in the same run.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		if err := bare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, _ := os.MkdirTemp("", "bench")
	defer os.RemoveAll(dir)
	env := append(os.Environ(), "ROLECALL_DIR="+dir, "HOME="+dir, "AWS_EC2_METADATA_DISABLED=true")
	self, _ := os.Executable()
	b, err := startServer(env, dir, self, "bare")
	if err != nil {
		panic(err)
	}
	r, err := startServer(env, dir, os.Args[1], "serve", "--listen", "127.0.0.1:0", "--load", "fake", "--log-format", "json")
	if err != nil {
		panic(err)
	}
	for _, fresh := range []bool{false, true} {
		for range 5 {
			var s [2]shot
			for i, srv := range []*server{b, r} {
				c := srv.cpu()
				s[i] = load(srv.addr, "/", "", 16, fresh, 2*time.Second)
				s[i].cpu = srv.cpu() - c
			}
			fmt.Printf("fresh=%v bare %.2f us (%d) p99 %v, rolecall %.2f us (%d, failed %d) p99 %v, ratio %.3f\n", fresh, s[0].perAnswer(), s[0].answers, s[0].p99, s[1].perAnswer(), s[1].answers, s[1].failed, s[1].p99, s[1].perAnswer()/s[0].perAnswer())
		}
	}
	fmt.Println("rss", r.rss(), "ready", r.ready)
	_ = b.stop()
	_ = r.stop()
}
