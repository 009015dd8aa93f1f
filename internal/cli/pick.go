package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// picker lets a person choose a profile or a role: type to filter, arrows to
// move, Enter to take. Only the rows in sight are drawn, so that thousands stay
// quick.
type picker struct {
	profiles []profile
	widths   []int        // of the columns
	entries  []searchable // made when something is typed for the first time

	typed    string
	found    []int // indices of rows, best first
	at       int   // of found: the row under the cursor
	top      int   // of found: the first row in sight
	width    int   // of the terminal; 0: not known
	height   int
	taken    int // index of the profile; -1: none
	finished bool

	more func() tea.Msg // brings entries that were not known at the start; nil: none
	busy bool           // it is under way
}

// newEntries replace all there were.
type newEntries []profile

var errNothingPicked = &failure{code: exitInterrupted, msg: "nothing was chosen"}

func newPicker(profiles []profile) *picker {
	p := &picker{taken: -1}
	p.fill(profiles)
	return p
}

// fill sets what there is to choose from.
func (p *picker) fill(profiles []profile) {
	p.profiles, p.entries, p.widths = profiles, nil, nil
	for i := range profiles {
		for c, cell := range cells(&profiles[i]) {
			if c == len(p.widths) {
				p.widths = append(p.widths, 0)
			}
			p.widths[c] = max(p.widths[c], cellWidth(cell))
		}
	}
	p.filter()
}

func cells(e *profile) []string {
	return []string{visible(e.Name), visible(e.Kind), visible(e.identity()), visible(e.Region), visible(e.Note)}
}

// row is an entry as it is shown, in columns. A long name must not push what
// follows out of sight.
func (p *picker) row(i int) string {
	var b strings.Builder
	for c, cell := range cells(&p.profiles[i]) {
		width := p.widths[c]
		if p.width > 4 {
			width = min(width, p.width/(2+min(c, 1))) // half of it for the name
			cell = clip(cell, width)
		}
		b.WriteString(cell)
		b.WriteString(strings.Repeat(" ", width-cellWidth(cell)))
		b.WriteString(columnGap)
	}
	return strings.TrimRight(b.String(), " ")
}

// title is the question, with the end of what is typed in sight.
func (p *picker) title() string {
	question := "Load which profile or role? "
	if p.width <= 4 || cellWidth(question+p.typed) < p.width {
		return question + p.typed
	}
	typed := p.typed
	if over := cellWidth("? "+typed) - (p.width - 1); over > 0 {
		typed = ansi.TruncateLeft(typed, over+1, "…")
	}
	return "? " + typed
}

// searched are the entries as the filter sees them. The sign-in's state is not
// part of it: it is mostly the same.
func (p *picker) searched() []searchable {
	if p.entries == nil {
		p.entries = make([]searchable, len(p.profiles))
		for i := range p.profiles {
			e := &p.profiles[i]
			p.entries[i] = searchable{strings.ToLower(e.Name), strings.ToLower(strings.Join([]string{e.Name, e.Kind, e.identity(), e.Region}, " "))}
		}
	}
	return p.entries
}

// refill keeps the cursor on the entry that it is on.
func (p *picker) refill(profiles []profile) {
	under := ""
	if p.at < len(p.found) {
		under = p.profiles[p.found[p.at]].key()
	}
	p.fill(profiles)
	for i, index := range p.found {
		if p.profiles[index].key() == under {
			p.move(i)
			return
		}
	}
}

func (p *picker) filter() {
	p.at, p.top = 0, 0
	if strings.TrimSpace(p.typed) != "" {
		p.found = match(p.searched(), p.typed)
		return
	}
	p.found = make([]int, len(p.profiles))
	for i := range p.found {
		p.found[i] = i
	}
}

// inSight is how many rows fit, below the title and above the footer.
func (p *picker) inSight() int {
	if p.height == 0 {
		return 15
	}
	return max(1, min(p.height-4, 25))
}

func (p *picker) move(by int) {
	p.at = max(0, min(p.at+by, len(p.found)-1))
	p.top = max(min(p.top, p.at), p.at-p.inSight()+1)
}

func (p *picker) Init() tea.Cmd { return p.more }

func (p *picker) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		p.width, p.height = msg.Width, msg.Height
		p.move(0)
	case newEntries:
		p.busy = false
		if msg != nil {
			p.refill(msg)
		}
	case tea.PasteMsg:
		p.typed += printable(msg.Content)
		p.filter()
	case tea.KeyPressMsg:
		return p, p.key(msg)
	}
	return p, nil
}

func (p *picker) key(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c", "esc", "ctrl+d":
		p.finished = true
		return tea.Quit
	case "enter", "ctrl+j":
		if len(p.found) == 0 {
			return nil
		}
		p.taken, p.finished = p.found[p.at], true
		return tea.Quit
	case "up", "ctrl+p", "shift+tab":
		p.move(-1)
	case "down", "ctrl+n", "tab":
		p.move(1)
	case "pgup":
		p.move(-p.inSight())
	case "pgdown":
		p.move(p.inSight())
	case "home":
		p.move(-len(p.found))
	case "end":
		p.move(len(p.found))
	case "backspace", "ctrl+h":
		_, n := utf8.DecodeLastRuneInString(p.typed)
		p.typed = p.typed[:len(p.typed)-n]
		p.filter()
	case "ctrl+u":
		p.typed = ""
		p.filter()
	case "ctrl+w":
		p.typed = p.typed[:strings.LastIndexByte(strings.TrimRight(p.typed, " "), ' ')+1]
		p.filter()
	default:
		if k.Text != "" {
			p.typed += printable(k.Text)
			p.filter()
		}
	}
	return nil
}

func (p *picker) View() tea.View {
	if p.finished {
		return tea.NewView("")
	}
	var b strings.Builder
	b.WriteString(p.title() + "\n")
	for i := p.top; i < min(p.top+p.inSight(), len(p.found)); i++ {
		mark, row := "  ", p.row(p.found[i])
		if p.width > 4 {
			row = clip(row, p.width-3)
		}
		if i == p.at {
			mark, row = "> ", "\x1b[1m"+row+"\x1b[m"
		}
		b.WriteString(mark + row + "\n")
	}
	footer := fmt.Sprintf("%d of %d · type to filter, up and down to move, enter to load, esc to leave", len(p.found), len(p.profiles))
	if p.busy {
		footer = fmt.Sprintf("%d of %d, listing the roles of SSO … · type to filter, enter to load, esc to leave", len(p.found), len(p.profiles))
	}
	if p.width > 4 {
		footer = clip(footer, p.width-1)
	}
	b.WriteString(footer)
	return tea.NewView(b.String())
}

// pick asks the person at the terminal in; what is drawn goes to out. more, where
// it is not nil, brings all entries anew once more are known; its context ends
// with the picker, which waits for it.
func pick(ctx context.Context, in *os.File, out io.Writer, environ []string, profiles []profile, more func(context.Context) []profile) (profile, error) {
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return profile{}, failed("the terminal cannot be used: "+err.Error(), "rolecall load PROFILE")
	}
	defer func() { _ = term.Restore(int(in.Fd()), old) }()
	p := newPicker(profiles)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	if more == nil {
		close(ended)
	} else {
		found := make(chan []profile, 1)
		go func() {
			defer close(ended)
			found <- more(ctx)
		}()
		p.busy = true
		p.more = func() tea.Msg {
			select {
			case list := <-found:
				return newEntries(list)
			case <-ctx.Done():
				return nil
			}
		}
	}
	defer func() {
		cancel()
		<-ended
	}()
	// Bubble Tea gets a mere reader: it closes what it polls a terminal with
	// while it still polls. The reader's last Read ends with the process.
	_, err = tea.NewProgram(p, tea.WithContext(ctx), tea.WithInput(struct{ io.Reader }{in}), tea.WithOutput(rawOutput(out)),
		tea.WithEnvironment(environ), tea.WithoutSignalHandler()).Run()
	switch {
	case p.taken >= 0:
		return p.profiles[p.taken], nil
	case err != nil && !errors.Is(err, tea.ErrProgramKilled) && !errors.Is(err, tea.ErrInterrupted) && ctx.Err() == nil:
		return profile{}, failed("the terminal cannot be used: "+err.Error(), "rolecall load PROFILE")
	}
	return profile{}, errNothingPicked
}

// printable is what may stand in the line that is typed.
func printable(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(visible(s), "\n", " "), "\t", " ")
}
