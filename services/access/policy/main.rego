# One decision out of all packages. Nothing is open by default: what no rule allows is denied.
package plateward.main

import data.plateward.agency
import data.plateward.jurisdictions.ca
import data.plateward.obligations
import data.plateward.platform

# Every deny of every package. The one with the lowest priority is named; all are in the grounds. Priorities are two digits
# as text: the engines do not sort numbers of different length alike.
denies contains entry if some entry in platform.denies

denies contains entry if some entry in agency.denies

denies contains entry if {
	data.policy.packs.ca
	some entry in ca.denies
}

grounds contains ground if some ground in platform.grounds

grounds contains ground if some ground in agency.grounds

grounds contains ground if {
	data.policy.packs.ca
	some ground in ca.grounds
}

ranked := sort([[entry.priority, entry.rule, entry.message] | some entry in denies])

decision := {
	"effect": "deny",
	"rule": ranked[0][1],
	"message": ranked[0][2],
	"grounds": sort([entry.rule | some entry in denies]),
	"obligations": {},
} if {
	count(ranked) > 0
} else := {
	"effect": "allow",
	"rule": "platform.allowed",
	"message": "",
	"grounds": sort([ground | some ground in grounds]),
	"obligations": obligations.all,
} if {
	platform.known_action
} else := {
	"effect": "deny",
	"rule": "platform.default-deny",
	"message": "no rule allows this action: ask the agency's administrator which role it needs",
	"grounds": ["platform.default-deny"],
	"obligations": {},
}
