package endpoint

// list is the connections of a server, linked through themselves.
type list struct {
	first *Conn
	n     int
}

func (l *list) add(c *Conn) {
	c.next, c.prev, c.listed = l.first, nil, true
	if l.first != nil {
		l.first.prev = c
	}
	l.first = c
	l.n++
}

func (l *list) remove(c *Conn) {
	if !c.listed {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev, c.listed = nil, nil, false
	l.n--
}

func (l *list) all() []*Conn {
	all := make([]*Conn, 0, l.n)
	for c := l.first; c != nil; c = c.next {
		all = append(all, c)
	}
	return all
}
