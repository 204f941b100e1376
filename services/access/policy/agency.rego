# What the agency's written policy asks: members with training, a listed purpose, a case that exists, a reason that says something.
package plateward.agency

import data.plateward.platform

purpose := input.purpose

offence := data.policy.offences[purpose.offence]

own_member if {
	platform.user
	not platform.partner
}

denies contains "agency.member-unknown" if {
	own_member
	not input.member.known
}

# Also a partner's member, where the partner keeps its register here: whom the own agency suspends is nobody's guest.
denies contains "agency.account-inactive" if {
	platform.user
	input.member.known
	not input.member.active
}

denies contains "agency.training-current" if {
	own_member
	input.member.known
	not input.member.training_current
}

denies contains "agency.job-title" if {
	own_member
	input.member.known
	not job_title
}

job_title if data.policy.job_titles[input.member.job_title]

# A prohibited use is refused by its own clause, whoever asks: named as the offence, or by words of the reason or the number.
denies contains data.policy.prohibited[purpose.offence].rule

denies contains clause if {
	some term, _ in purpose.terms
	clause := data.policy.prohibited[data.policy.terms[term]].rule
}

denies contains "agency.purpose-required" if {
	platform.action.purposeful
	not purpose.given
}

denies contains "agency.purpose-listed" if {
	purpose.given
	not offence
	not data.policy.prohibited[purpose.offence]
}

denies contains "agency.case-number" if {
	purpose.given
	offence.needs_case
	purpose.case.state == "none"
}

denies contains data.policy.case_states[purpose.case.state] if purpose.given

denies contains "agency.case-offence" if {
	purpose.given
	data.policy.same_offence
	purpose.case.state == "open"
	purpose.case.offence != purpose.offence
}

# Too few words are left when those that say nothing and those of the offence's own title are taken away.
denies contains "agency.reason-specific" if {
	purpose.given
	purpose.telling < data.policy.reason_least
}

denies contains "agency.second-person" if {
	wide
	not input.approved
}

wide if input.scope.window_s > data.policy.wide[input.action].window_s

wide if input.scope.cameras > data.policy.wide[input.action].cameras

wide if input.scope.agencies > data.policy.wide[input.action].agencies

denies contains "agency.case-budget" if {
	input.budget.new_plate
	input.budget.case_plates >= data.policy.budgets.plates_per_case
	not input.approved
}

denies contains "agency.repeat-budget" if {
	input.budget.looks >= data.policy.budgets.looks_per_plate
	not input.approved
}

grounds contains "agency.training-current" if {
	own_member
	input.member.training_current
}

grounds contains "agency.purpose-listed" if {
	purpose.given
	offence
}

grounds contains "agency.case-known" if purpose.case.state == "open"

grounds contains "agency.second-person" if input.approved
