-- Who struggles with the product, and whether they tell us. Overlapping: the same person can do all of it.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Reading and asking count alike, both cost the user time; a third time in four weeks is no longer chance.
        support_views_28d + support_contacts_28d >= 3 as frequent_support_visitor,

        -- One error is forgiven and two are bad luck; from the third on the product counts as broken.
        errors_28d >= 3 as technical_trouble,

        -- In technical trouble, and not one word to us: they are in no ticket statistic, and leave without a complaint.
        errors_28d >= 3
        and support_contacts_28d = 0 as silent_sufferer
    from metrics

)

select * from final
