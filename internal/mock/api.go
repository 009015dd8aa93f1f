package mock

// Status is what a running mock tells of itself. The names in its JSON stay.
type Status struct {
	IMDS     string         `json:"imds"`           // the URL, as in the first line
	ECS      string         `json:"ecs"`            // the URL, as in the second line
	Seed     uint64         `json:"seed"`           // of the percentages and ranges
	Mode     string         `json:"mode,omitempty"` // v1-only or v2-only, where the mock was started so
	Faults   []FaultStatus  `json:"faults"`
	Requests map[string]int `json:"requests"` // :: operation → requests since the start, or since clear
}

// FaultStatus is a fault in force.
type FaultStatus struct {
	Fault string `json:"fault"`
	Hits  int    `json:"hits"`           // requests that drew it
	Left  *int   `json:"left,omitempty"` // of count=
}

// setRequest is the body of POST /_mock/faults.
type setRequest struct {
	Faults []string `json:"faults"`
	Add    bool     `json:"add,omitempty"` // keep those that are there
}

// refusal is the body of every error.
type refusal struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

const (
	adminPath   = "/_mock/"
	pathStatus  = adminPath + "status"
	pathFaults  = adminPath + "faults"
	adminHeader = "X-Rolecall-Mock" // no page of a browser can send it to another origin unasked
	maxAdmin    = 256 << 10         // bytes of a body
)
