-- What users say of the product: the last answer to the NPS question, in the bands of its authors (Reichheld, Harvard
-- Business Review, 2003). An answer counts for 180 days: after half a year the product it was about is another one.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- In Reichheld's data those who said 9 or 10 were the ones who bought again and sent others.
        days_since_last_nps is not null
        and days_since_last_nps between 0 and 179
        and last_nps_score between 9 and 10 as promoter,

        -- Content, and without a reason to tell: what one takes for good marks brings neither loyalty nor praise.
        days_since_last_nps is not null
        and days_since_last_nps between 0 and 179
        and last_nps_score between 7 and 8 as passive,

        -- 6 counts, though it looks like a pass: the line is drawn by what people did, not by how the number sounds.
        days_since_last_nps is not null
        and days_since_last_nps between 0 and 179
        and last_nps_score between 0 and 6 as detractor,

        -- The 180th day is too late here as above: an old answer is as good as none, and it is time to ask again.
        days_since_last_nps is null
        or days_since_last_nps >= 180 as unsurveyed
    from metrics

)

select * from final
