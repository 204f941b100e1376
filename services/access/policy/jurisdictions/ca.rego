# California: Civil Code 1798.90.5-.55 (SB 34), Government Code 7284 (SB 54), Penal Code 13778.2 (AB 1242).
package plateward.jurisdictions.ca

import data.plateward.platform

public_kinds := {"AGENCY_KIND_LOCAL", "AGENCY_KIND_STATE", "AGENCY_KIND_PROSECUTOR"}

refused_kinds := {
	"AGENCY_KIND_OUT_OF_STATE": {"rule": "ca.sb34-out-of-state", "who": "agencies of other states"},
	"AGENCY_KIND_FEDERAL": {"rule": "ca.sb34-federal", "who": "federal agencies"},
	"AGENCY_KIND_TRIBAL": {"rule": "ca.sb34-tribal", "who": "tribal agencies"},
	"AGENCY_KIND_PRIVATE": {"rule": "ca.sb34-private", "who": "private bodies"},
	"AGENCY_KIND_UNSPECIFIED": {"rule": "ca.sb34-unknown", "who": "agencies that are not registered"},
}

denies contains {
	"priority": "02",
	"rule": entry.rule,
	"message": sprintf("ALPR information of a California agency is not given to %s (Civil Code 1798.90.55(b)): send a release request to the agency", [entry.who]),
} if {
	entry := refused_kinds[input.agency.kind]
}

denies contains {
	"priority": "03",
	"rule": "ca.sb54-task-force",
	"message": "members on a federal task force have no access: the task force's agency is federal (Gov. Code 7284.6; Civil Code 1798.90.55(b))",
} if {
	input.member.federal_task_force
}

denies contains {
	"priority": "12",
	"rule": "ca.sb34-no-agreement",
	"message": "the owner has no active agreement with your agency: request one from its designee",
} if {
	some _, state in input.owners
	state == "none"
	not platform.partner_requests[input.action]
}

denies contains {
	"priority": "13",
	"rule": "ca.onward-use",
	"message": "attest in the purpose that the results are not passed on for a prohibited use (onward_use_attested)",
} if {
	platform.partner_actions[input.action]
	input.purpose.given
	some _, state in input.owners
	state == "agreement"
	not input.purpose.onward_use_attested
}

grounds contains "ca.sb34-public-agency" if public_kinds[input.agency.kind]

grounds contains "ca.sb34-agreement" if {
	some _, state in input.owners
	state == "agreement"
}
