-- How far each user has come with the product: from having seen it to speaking for it. What counts on the way is the
-- core action, the thing that the product is there for; a purchase or a visit takes nobody further.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Looks around and has promised nothing yet: without a name, the product itself is the only way to reach them.
        days_since_signed_up is null
        and core_action_days_lifetime = 0 as aware,

        -- An account is a promise, and no use yet. Whoever has a core action is past this step, with an account or
        -- as a guest.
        days_since_signed_up is not null
        and core_action_days_lifetime = 0 as signed_up,

        -- Days, not actions: five on one evening are one try, and the second day may be the same try finished.
        core_action_days_lifetime between 1 and 2 as activated,

        -- The third day is the second return, which curiosity does not explain. Who speaks for the product is one step
        -- further: the rest of the line leaves out whom the next one takes.
        core_action_days_lifetime >= 3
        and (last_nps_score is null or last_nps_score between 0 and 8)
        and referrals_lifetime = 0 as adopted,

        -- 9 and 10 are the promoters of the Net Promoter Score (Reichheld, Harvard Business Review, 2003); a referral
        -- says the same by a deed. The last answer counts, however old: a step once taken is lost by a worse answer
        -- only. Praise from people who have not adopted the product is for something else, and stays out.
        core_action_days_lifetime >= 3
        and (
            (last_nps_score is not null and last_nps_score between 9 and 10)
            or referrals_lifetime >= 1
        ) as advocate
    from metrics

)

select * from final
