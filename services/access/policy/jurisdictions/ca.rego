# California: Civil Code 1798.90.5-.55 (SB 34), Government Code 7284 (SB 54), Penal Code 13778.2 (AB 1242).
package plateward.jurisdictions.ca

import data.plateward.platform

kind := data.policy.pack.ca.kinds[input.agency.kind]

denies contains kind if kind != ""

# A kind that the list does not have is no public agency.
denies contains "ca.sb34-unknown" if not kind

denies contains "ca.sb54-task-force" if input.member.federal_task_force

denies contains "ca.sb34-no-agreement" if {
	some _, state in input.owners
	state == "none"
	not platform.action.partner_asks
}

denies contains "ca.onward-use" if {
	platform.action.partner
	input.purpose.given
	not input.purpose.onward_use_attested
	shared
}

shared if {
	some _, state in input.owners
	state == "agreement"
}

grounds contains "ca.sb34-public-agency" if kind == ""

grounds contains "ca.sb34-agreement" if shared
