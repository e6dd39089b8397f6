-- Buyers by what they spent so far, less refunds, scored 1 to 5 among all buyers (5 is best). When and how often they
-- bought is in rfm, which leaves money out.
with metrics as (

    select * from {{ ref('int_user_metrics') }}
    -- Scores exist for buyers alone, so that none is null here; who never bought is in purchase_frequency.
    where purchase_days_lifetime >= 1

),

final as (

    select
        as_of_date,
        user_id,

        -- The fifth that spent most: in most shops it brings more than all others together.
        m_score = 5 as high,

        -- The two fifths below: near enough to the top to get there, and too many to have a person for each.
        m_score between 3 and 4 as mid,

        -- The two fifths at the bottom, with all who got back what they paid: no reason to spend money on them yet.
        m_score between 1 and 2 as low
    from metrics

)

select * from final
