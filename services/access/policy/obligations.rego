# What the store must add to the query: whose reads, which cameras, where, how far back, how many, without which fields.
package plateward.obligations

import data.plateward.agency
import data.plateward.platform

all := {
	"agency_ids": sort({owner | input.owners[owner] != "none"}),
	"camera_ids": input.camera_limit,
	"keep_seconds": window,
	"max_rows": data.policy.limits[side].rows,
	"most_cameras": most_cameras,
	"masked_fields": masked,
	"area": area,
	"second_approver": false,
}

side := "partner" if {
	platform.partner
} else := "own"

kept := data.policy.windows[input.action] if {
	true
} else := data.policy.windows.other

# Written out: the engines do not order numbers of different length alike inside of min() and sort().
window := input.agreement_window_s if {
	input.agreement_window_s < kept
} else := kept

masked := data.policy.limits[side].masked[input.action] if {
	true
} else := []

area := data.policy.limits[side].area[input.action] if {
	true
} else := {}

# Which cameras an area or a query that names none touches is known to the store alone: it counts them. None once approved.
most_cameras := 0 if {
	input.approved
} else := data.policy.wide[input.action].cameras if {
	true
} else := 0

# Said with the refusal, so that a program knows what to ask for.
second_approver if {
	agency.wide
	not input.approved
} else := false
