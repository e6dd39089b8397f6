-- Buyers by recency and frequency of purchase, each scored 1 to 5 among all buyers (5 is best): the ten groups that RFM
-- tools share, drawn so that each of the 25 cells of the grid has one owner (published grids have overlaps and gaps).
-- Money is left out: it mostly follows frequency, and would make 125 cells of the 25.
with metrics as (

    select * from {{ ref('int_user_metrics') }}
    -- Scores exist for buyers alone, so that none is null here; who never bought is in purchase_frequency.
    where purchase_days_lifetime >= 1

),

final as (

    select
        as_of_date,
        user_id,

        -- The latest fifth alone: whoever slips from it is loyal, so that a champion who cools off is seen at once.
        r_score = 5
        and f_score between 4 and 5 as champions,

        -- Often, and not later than the middle fifth: up to there it is the pause between two purchases.
        r_score between 3 and 4
        and f_score between 4 and 5 as loyal,

        -- Lately, and more often than the many who bought once (F1), but not often yet: a habit in the making.
        r_score between 4 and 5
        and f_score between 2 and 3 as potential_loyalist,

        -- Equal values score equal, so all who bought on one day are in F1: here, a first purchase of these days.
        r_score = 5
        and f_score = 1 as new_customer,

        -- One fifth later than new_customer: the first purchase is used by now, and no second one followed yet.
        r_score = 4
        and f_score = 1 as promising,

        -- The middle of both scales, a step from every side: whatever they do next moves them.
        r_score = 3
        and f_score = 3 as needs_attention,

        -- As late as needs_attention, without its habit: the next step down is hibernating, not at_risk.
        r_score = 3
        and f_score between 1 and 2 as about_to_sleep,

        -- Came back to buy before, but is now among the two fifths who stayed away longest.
        r_score between 1 and 2
        and f_score between 3 and 4 as at_risk,

        -- As far away as at_risk, but from the fifth who bought most often: few people, and much of the revenue.
        r_score between 1 and 2
        and f_score = 5 as cannot_lose,

        -- Below the middle on both scales: neither recency nor a habit gives reason to expect them.
        r_score between 1 and 2
        and f_score between 1 and 2 as hibernating
    from metrics

)

select * from final
