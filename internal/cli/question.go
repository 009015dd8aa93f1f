package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// question writes text to out and waits for a line of in, or the end of ctx. A
// read of a terminal cannot be called off: it ends with the process.
func question(ctx context.Context, in io.Reader, out io.Writer, text string) (line string, err error) {
	fmt.Fprint(out, visible(text))
	read := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // the end of the input is an empty answer
		read <- line
	}()
	select {
	case line = <-read:
		if !strings.HasSuffix(line, "\n") {
			fmt.Fprintln(out)
		}
		return strings.TrimSpace(line), nil
	case <-ctx.Done():
		fmt.Fprintln(out)
		return "", ctx.Err()
	}
}

// agreed asks for a yes.
func agreed(ctx context.Context, in io.Reader, out io.Writer, text string) (bool, error) {
	line, err := question(ctx, in, out, text+" [y/N] ")
	line = strings.ToLower(line)
	return line == "y" || line == "yes", err
}
